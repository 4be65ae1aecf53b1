"""The levels of an AugVAE: how many there are, and how each halves a map."""

import dataclasses
import inspect
from collections.abc import Callable, Sequence
from typing import Any

from keras_bidalle.validation import as_integers, check_flag, check_positive


@dataclasses.dataclass
class Levels:
    """What the halves of an AugVAE are made of: a VQGAN half for each level.

    Args:
        resolution: int, height of the images.
        num_levels: int.
        channels: int, what the multipliers multiply.
        channel_multipliers: tuple of int, of the half next to the image;
            the size halves between them.
        next_channel_multipliers: tuple of int, of each other one.
        num_res_blocks: int, residual blocks at each size (a decoder has one
            more).
        attention: bool, whether there is self-attention at the size of each
            level's codes.
        dropout: float.
        z_channels: int, channels between the halves.
    """

    resolution: int
    num_levels: int = 4
    channels: int = 128
    channel_multipliers: Sequence[int] = (1, 2, 4)
    next_channel_multipliers: Sequence[int] = (2, 4)
    num_res_blocks: int = 2
    attention: bool = False
    dropout: float = 0.0
    z_channels: int = 256

    def __post_init__(self):
        check_positive(num_levels=self.num_levels, z_channels=self.z_channels)
        check_flag(attention=self.attention)
        # A saved configuration has lists.
        self.channel_multipliers = as_integers(
            channel_multipliers=self.channel_multipliers
        )
        self.next_channel_multipliers = as_integers(
            next_channel_multipliers=self.next_channel_multipliers
        )

    @property
    def factors(self) -> tuple[int, ...]:
        """Pixels on a side of a code, for each level, fine to coarse."""
        first = 2 ** (len(self.channel_multipliers) - 1)
        step = 2 ** (len(self.next_channel_multipliers) - 1)
        return tuple(first * step**level for level in range(self.num_levels))

    def half(self, kind: type, level: int, **kwargs: Any) -> Any:
        """The encoder into a level, or the decoder out of it.

        Args:
            kind: `VQGANEncoder` or `VQGANDecoder`.
            level: int, from 0, the finest.
            **kwargs: more arguments of `kind`.
        """
        outer = self.factors[level - 1] if level else 1
        code_side = self.resolution // self.factors[level]
        return kind(
            resolution=self.resolution // outer,
            channels=self.channels,
            channel_multipliers=self.next_channel_multipliers
            if level
            else self.channel_multipliers,
            num_res_blocks=self.num_res_blocks,
            attention_resolutions=(code_side,) if self.attention else (),
            middle_attention=self.attention,
            dropout=self.dropout,
            **kwargs,
        )


def takes_levels(function: Callable) -> Callable:
    """Decorates a function of `**levels`, so that `help` shows each of them."""
    signature = inspect.signature(function)
    shown = {
        name: parameter
        for name, parameter in signature.parameters.items()
        if parameter.kind is not inspect.Parameter.VAR_KEYWORD
    }
    for name, parameter in inspect.signature(Levels).parameters.items():
        if name != "resolution":
            parameter = parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
            shown.setdefault(name, parameter)
    shown_signature = signature.replace(parameters=list(shown.values()))
    function.__signature__ = shown_signature  # type: ignore[attr-defined]
    return function
