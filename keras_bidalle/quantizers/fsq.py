"""Finite scalar quantization: each channel is rounded to a few levels."""

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_bidalle.quantizers.hard_quantizer import HardQuantizer
from keras_bidalle.validation import as_integers, check_at_least, refused

# How far beyond its outermost level a channel may reach, as published.
_MARGIN = 1e-3
_MOST_CODES = 2**31 - 1


@keras.saving.register_keras_serializable(package="keras_bidalle")
class FSQ(HardQuantizer):
    """Rounds each channel to one of its levels: a codebook without weights.

    A channel of L levels is bounded to `b = tanh(gain * z + s) h - o`, with
    `h = (L - 1) (1 + 1e-3) / 2`, o = 1/2 for even L and 0 else, and
    `s = atanh(o / h)`; its value is `round(b) / floor(L / 2)`, in [-1, 1],
    through which gradients pass to b. The code is the number that the levels
    are the digits of, the first channel's the lowest. No code can die, and
    there is no loss.

    Args:
        levels: sequence of int, at least 3, of each channel: `(8, 6, 5)` for
            about 2^8 codes, `(8, 5, 5, 5)` for 2^10, `(7, 5, 5, 5, 5)` for
            2^12, `(8, 8, 8, 6, 5)` for 2^14, `(8, 8, 8, 5, 5, 5)` for 2^16.
        gain: float, above 0. 1 as published; 0.8 is the sigmoid form,
            `2 sigmoid(1.6 z) - 1`, by which normal latents use all levels
            about alike.
        commitment_weight: float; 0, as published, for none.
        **kwargs: `gradient`, as in `HardQuantizer`.

    Raises:
        ValueError: if there is no level, one is not an int of at least 3, or
            there are more codes than int32 holds.

    Reference:
        [Finite Scalar Quantization: VQ-VAE Made
        Simple](https://arxiv.org/abs/2309.15505), section 3; the sigmoid
        form: [iFSQ](https://arxiv.org/abs/2601.17124).
    """

    kept_as = {"num_codes": None, "code_dim": None}

    def __init__(
        self,
        levels: Sequence[int],
        gain: float = 1.0,
        commitment_weight: float = 0.0,
        **kwargs: Any,
    ) -> None:
        levels = as_integers(3, levels=levels)
        if not levels or math.prod(levels) > _MOST_CODES:
            raise refused(
                "have a number for each channel and a product below 2^31",
                levels=levels,
            )
        check_at_least(1e-6, gain=gain)
        super().__init__(
            math.prod(levels),
            len(levels),
            commitment_weight=commitment_weight,
            **kwargs,
        )
        self.levels = levels
        self.gain = gain

    def prepared(self, z: Any) -> Any:
        return self._bounded(z) / self._halves("float32")

    def nearest(self, z: Any) -> Any:
        bounded = ops.stop_gradient(self._bounded(z))
        # What is no number has no digit.
        digits = ops.nan_to_num(ops.round(bounded), nan=0.0)
        # Of a thousand levels the margin is half a level, and rounds up.
        lowest = -self._halves("float32")
        count = ops.convert_to_tensor(self.levels, "float32")
        digits = ops.clip(digits, lowest, lowest + count - 1.0)
        codes = ops.sum(
            (ops.cast(digits, "int32") + self._halves("int32")) * self._bases,
            axis=-1,
        )
        errors = (bounded - digits) / self._halves("float32")
        return codes, ops.sum(ops.square(errors), axis=-1)

    def lookup(self, codes: Any) -> Any:
        levels = ops.convert_to_tensor(self.levels, "int32")
        digits = codes[..., None] // self._bases % levels
        values = ops.cast(digits - self._halves("int32"), "float32")
        return values / self._halves("float32")

    @property
    def _bases(self):
        return ops.convert_to_tensor(
            np.cumprod([1, *self.levels[:-1]]), "int32"
        )

    def _halves(self, dtype):
        return ops.convert_to_tensor(np.array(self.levels) // 2, dtype)

    def _bounded(self, z):
        levels = np.array(self.levels)
        half = (levels - 1) * (1 + _MARGIN) / 2
        offset = np.where(levels % 2 == 0, 0.5, 0.0)
        shift = np.arctanh(offset / half)
        half, offset, shift = (
            ops.convert_to_tensor(x, "float32") for x in (half, offset, shift)
        )
        return ops.tanh(self.gain * z + shift) * half - offset
