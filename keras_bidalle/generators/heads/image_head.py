"""What a generator asks of its image side."""

from collections.abc import Callable
from typing import Any

import numpy as np
from keras import ops

from keras_bidalle.losses.cross_entropy import cross_entropy
from keras_bidalle.transformer.layer import TransformerLayer
from keras_bidalle.transformer.layer_calls import PLAIN_CALLS, LayerCalls
from keras_bidalle.validation import check_positive


class ImageHead(TransformerLayer):
    """Embeds, predicts and draws the codes of one position of a row.

    A subclass says how codes are laid out (`codes_per_position`; `grid`,
    where a position is not one place of `code_shape`; `to_positions` and
    `from_positions`, where they are not in raster order) and has `embed`,
    `logits` and `draw`. The rest is how it learns: from `codes`, unless it
    says otherwise.

    Args:
        num_codes: int, K, the size of the image tokenizer's codebook.
        code_shape: tuple, the shape of one image's codes.
        width: int, channels d of the stream.

    Attributes:
        grid: tuple (rows, columns) of positions, P = rows * columns.
        codes_per_position: int, c.
        normalizes: bool, whether it has a norm of its own, so that the
            stream comes without one.
    """

    normalizes = False

    def __init__(
        self, num_codes: int, code_shape: tuple, width: int, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        check_positive(num_codes=num_codes, width=width)
        self.num_codes = num_codes
        self.code_shape = tuple(code_shape)
        self.width = width

    @property
    def grid(self) -> Any:
        shape = self.code_shape
        return shape if len(shape) > 1 else (1, *shape)

    @property
    def codes_per_position(self) -> int:
        raise NotImplementedError

    @property
    def codebook_limits(self) -> int | tuple[int, ...]:
        """What codes are below: K, or c numbers where depths have fewer."""
        return self.num_codes

    @property
    def stack_limits(self) -> int | tuple[int, ...]:
        """The same of what stands in stacks."""
        return self.codebook_limits

    def to_positions(self, codes: Any) -> Any:
        """Codes (B, *code_shape) as stacks, one a position: int32 (B, P, c)."""
        shape = (-1, int(np.prod(self.grid)), self.codes_per_position)
        return ops.reshape(ops.cast(codes, "int32"), shape)

    def from_positions(self, stacks: Any) -> Any:
        """The inverse of `to_positions`: int tensor (B, *code_shape)."""
        return ops.reshape(stacks, (-1, *self.code_shape))

    def embed(self, stacks: Any) -> Any:
        """Vectors of stacks of codes: int (B, n, c) to (B, n, d)."""
        raise NotImplementedError

    def logits(
        self, hidden: Any, stacks: Any, training: bool | None = None
    ) -> Any:
        """Logits of stacks, each code given those before it.

        `hidden`, (B, n, d), is the stream at the positions before, `stacks`,
        int (B, n, c), the true codes: float32 (B, n, c, K).
        """
        raise NotImplementedError

    def draw(
        self, hidden: Any, draw: Callable, run: LayerCalls = PLAIN_CALLS
    ) -> Any:
        """Draws the codes of one position.

        Args:
            hidden: tensor (B, d), the stream at the position before; under
                guidance it holds each row twice.
            draw: function of float32 logits (B, K) and the index of a code
                in its stack to int32 codes (B,), half as many under
                guidance.
            run: `LayerCalls`, how layers are called.

        Returns:
            int32 tensor (B, c).
        """
        raise NotImplementedError

    def decoded_blocks(self) -> list:
        """The transformer blocks that `draw` runs: list."""
        return []

    # What a training batch brings, and what is learned from it.

    def check_trainable(self) -> None:
        """Raises a `ValueError` where something is missing for `fit`."""

    def stacks(self, inputs: dict, training: bool | None = None) -> Any:
        """The stacks of a batch: int32 tensor (B, P, c)."""
        return self.to_positions(inputs["codes"])

    def predictions(
        self,
        inputs: dict,
        hidden: Any,
        stacks: Any,
        training: bool | None = None,
    ) -> dict:
        """What a call returns of the image side, for `losses`."""
        return {"image_logits": self.logits(hidden, stacks, training)}

    def losses_of(
        self, inputs: dict, outputs: dict, training: bool = True
    ) -> Any:
        """The loss of each position, a mean over its codes: float32 (B, P).

        `inputs` is a batch, and `outputs` what the call on it returned.
        """
        stacks = self.to_positions(inputs["codes"])
        losses = cross_entropy(outputs["image_logits"], stacks)
        return ops.mean(losses, axis=-1)
