"""Codes of large codebooks, embedded and predicted by their digits."""

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from keras_bidalle.generators.heads.residual import NO_CODE
from keras_bidalle.generators.heads.stack import StackHead
from keras_bidalle.validation import check_positive


def grouped_digits(levels: Sequence[int], most: int = 1024) -> tuple[int, ...]:
    """The levels of a code's channels as few digits: tuple of int.

    Neighboring channels become one digit as long as it has at most `most`
    kinds. Their product stays the same.

    Args:
        levels: sequence of int, `quantizer.levels` of an `FSQ`, and
            `[2] * quantizer.code_dim` of an `LFQ` or `BSQ`.
        most: int.

    Example:

    ```python
    grouped_digits([2] * 18, most=512)  # (512, 512)
    grouped_digits((8, 8, 8, 5, 5, 5))  # (512, 125)
    ```
    """
    check_positive(most=most)
    digits = [1]
    for level in levels:
        if digits[-1] * level <= most:
            digits[-1] *= level
        else:
            digits.append(level)
    return tuple(digits)


@keras.saving.register_keras_serializable(package="keras_bidalle")
class DigitHead(StackHead):
    """One code at each position, which is a number of several digits.

    A code is embedded as the sum of its digits' vectors, and its digits are
    predicted one after the other, the lowest first, each by a two-layer
    network that sees the stream and the digits before it. So a codebook of
    2^18 codes needs two tables of 512. To sampling a digit is a code of a
    stack: settings may have a value for each.

    Args:
        num_codes, width: as in `ImageHead`.
        code_shape: tuple (rows, columns) of one image's codes, or (N,) for
            codes without a grid.
        code_digits: tuple of int, how many kinds each digit has, the lowest
            first; their product is `num_codes` (see `grouped_digits`).
        digit_head_width: int, hidden channels h of the network.
        head_bias: bool, whether logits have biases.

    Raises:
        ValueError: if the digits do not make `num_codes` codes.

    Reference:
        Open-MAGVIT2, arXiv 2409.04410, section 3.2 (next sub-token
        prediction); MaskBit, arXiv 2409.16211, section 4 (groups of bits).
    """

    kind = "digit"
    shares_kernel = False

    def __init__(
        self,
        num_codes: int,
        code_shape: tuple,
        width: int,
        code_digits: Sequence[int],
        digit_head_width: int = 192,
        head_bias: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(num_codes, code_shape, width, **kwargs)
        self.code_digits = tuple(code_digits or ())
        if (
            not all(type(n) is int and n > 1 for n in self.code_digits)
            or math.prod(self.code_digits) != num_codes
        ):
            raise ValueError(
                "`code_digits` must be integers above 1 whose product is "
                f"`num_codes`. Received: code_digits={code_digits!r}, "
                f"num_codes={num_codes}"
            )
        check_positive(digit_head_width=digit_head_width)
        self.digit_head_width = self.head_width = digit_head_width
        self.head_bias = head_bias
        self.digit_head_norm = layers.RMSNormalization(
            epsilon=1e-6, dtype=self.dtype_policy, name="digit_head_norm"
        )
        # Added to logits of what a digit of fewer kinds does not have.
        kinds = np.arange(self.num_kinds)
        missing = kinds >= np.array(self.code_digits)[:, None]
        self._missing = np.where(missing, np.float32(NO_CODE), np.float32(0))

    @property
    def codes_per_position(self) -> Any:
        return len(self.code_digits)

    @property
    def num_kinds(self) -> int:
        return max(self.code_digits)

    def head_norm(self) -> Any:
        return self.digit_head_norm

    @property
    def stack_limits(self) -> tuple[int, ...]:
        return self.code_digits

    @property
    def _bases(self):
        bases = np.cumprod([1, *self.code_digits[:-1]])
        return ops.convert_to_tensor(bases.astype("int32"))

    def to_positions(self, codes: Any) -> Any:
        codes = ops.cast(codes, "int32")
        codes = ops.reshape(codes, (-1, math.prod(self.grid)))
        digits = ops.convert_to_tensor(np.array(self.code_digits, "int32"))
        return codes[..., None] // self._bases % digits

    def from_positions(self, stacks: Any) -> Any:
        codes = ops.sum(ops.cast(stacks, "int32") * self._bases, axis=-1)
        return ops.reshape(ops.cast(codes, "int32"), (-1, *self.code_shape))

    def logits_at(self, known: Any, place: int) -> Any:
        missing = ops.convert_to_tensor(self._missing[place])
        return super().logits_at(known, place) + missing
