"""What quantizers whose codes are the signs of the channels share."""

from typing import Any

import numpy as np
from keras import ops

from keras_bidalle.backend import replicas
from keras_bidalle.quantizers.hard_quantizer import HardQuantizer
from keras_bidalle.validation import check_at_least, is_integer, refused


def entropy(shares):
    """Entropy in nats of shares (..., K), of which some may be 0."""
    return -ops.sum(shares * ops.log(ops.maximum(shares, 1e-20)), axis=-1)


def joint_probabilities(bits):
    """Those (N, 2^b) of all codes, of independent bits (N, b)."""
    table = ops.ones((ops.shape(bits)[0], 1), dtype="float32")
    for place in range(bits.shape[-1]):
        one = bits[:, place : place + 1]
        table = ops.concatenate([table * (1.0 - one), table * one], axis=-1)
    return table


class SignQuantizer(HardQuantizer):
    """Base of the quantizers that give each channel its sign.

    The code is the number whose bits are 1 where a channel is above 0, the
    first channel's the lowest. The entropy loss asks for clear bits of each
    latent and for even use of all codes:

        entropy_weight * (mean_n H(p_n) - diversity_weight * H(mean_n p_n))

    where the bits of p_n are independent, with log odds
    `sharpness * prepared(z)`. So neither entropy needs a table of latents by
    codes: the mean is over the global batch and, of a group of bits, a
    product of the tables of its two halves.
    """

    scale: float
    sharpness: float
    group_bits: int
    kept_as = {"num_codes": None}

    def __init__(
        self,
        code_dim: int,
        *,
        entropy_weight: float = 0.1,
        diversity_weight: float = 1.0,
        **kwargs: Any,
    ) -> None:
        if not is_integer(code_dim) or not 1 <= code_dim <= 24:
            raise refused(
                "be the bits of a code, from 1 to 24", code_dim=code_dim
            )
        # Powers of NumPy's integers may be too narrow.
        super().__init__(2 ** int(code_dim), int(code_dim), **kwargs)
        check_at_least(
            entropy_weight=entropy_weight, diversity_weight=diversity_weight
        )
        self.entropy_weight = entropy_weight
        self.diversity_weight = diversity_weight

    @property
    def _bits(self):
        return ops.convert_to_tensor(2 ** np.arange(self.code_dim), "int32")

    def nearest(self, z: Any) -> Any:
        codes = ops.sum(ops.cast(z > 0, "int32") * self._bits, axis=-1)
        errors = self.prepared(z) - self.lookup(codes)
        return codes, ops.stop_gradient(ops.sum(ops.square(errors), axis=-1))

    def lookup(self, codes: Any) -> Any:
        signs = codes[..., None] // self._bits % 2 * 2 - 1
        return self.scale * ops.cast(signs, "float32")

    def codebook_loss(self, z: Any, quantized: Any) -> Any:
        if not self.entropy_weight:
            return 0.0
        bits = ops.sigmoid(self.sharpness * z)  # (N, b)
        both = ops.stack([bits, 1.0 - bits], axis=-1)
        each = ops.mean(ops.sum(entropy(both), axis=-1))
        of_all = sum(
            self._entropy_of_mean(bits[:, first : first + self.group_bits])
            for first in range(0, self.code_dim, self.group_bits)
        )
        return self.entropy_weight * (each - self.diversity_weight * of_all)

    def _entropy_of_mean(self, bits):
        half = bits.shape[-1] // 2
        low = joint_probabilities(bits[:, :half])
        high = joint_probabilities(bits[:, half:])
        count = ops.cast(ops.shape(bits)[0], "float32")
        table = ops.matmul(ops.transpose(high), low) / count
        return entropy(ops.reshape(replicas.all_reduce_mean(table), (-1,)))
