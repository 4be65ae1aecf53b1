"""Binary spherical quantization: signs of latents on the unit sphere."""

from typing import Any

import keras

from keras_bidalle.quantizers.distances import unit_rows
from keras_bidalle.quantizers.sign_quantizer import SignQuantizer
from keras_bidalle.validation import check_at_least, check_positive


@keras.saving.register_keras_serializable(package="keras_bidalle")
class BSQ(SignQuantizer):
    """Replaces latents u = z / |z| by sign(u) / sqrt(b), with b = code_dim.

    A bit's log odds are `4 u inverse_temperature / sqrt(b)`. The loss is
    `commitment_weight * mean((u - sg[q])^2) + entropy_weight * (mean H -
    diversity_weight * H(mean)) / inverse_temperature`, in which the entropy of
    the mean is the sum over groups of bits: an upper bound that needs no
    table of all codes.

    Args:
        code_dim: int, the bits of a code, from 1 to 24.
        commitment_weight: float, 0 in the published program.
        inverse_temperature: float, above 0.
        group_bits: int, the bits of a group.
        **kwargs: `entropy_weight`, `diversity_weight` and `gradient`, as in
            `LFQ`.

    Raises:
        ValueError: if an argument is out of its range.

    Reference:
        [Image and Video Tokenization with Binary Spherical
        Quantization](https://arxiv.org/abs/2406.07548), section 4, and its
        program, https://github.com/zhaoyue-zephyrus/bsq-vit.
    """

    def __init__(
        self,
        code_dim: int,
        *,
        commitment_weight: float = 0.0,
        inverse_temperature: float = 1.0,
        group_bits: int = 1,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            code_dim, commitment_weight=commitment_weight, **kwargs
        )
        check_at_least(1e-6, inverse_temperature=inverse_temperature)
        check_positive(group_bits=group_bits)
        self.inverse_temperature = inverse_temperature
        self.group_bits = group_bits
        self.scale = code_dim**-0.5
        self.sharpness = 4.0 * inverse_temperature * self.scale

    def prepared(self, z: Any) -> Any:
        return unit_rows(z)

    def codebook_loss(self, z: Any, quantized: Any) -> Any:
        loss = super().codebook_loss(z, quantized)
        return loss / self.inverse_temperature
