"""Lookup-free quantization: the code of a latent is its signs."""

from typing import Any

import keras

from keras_bidalle.quantizers.sign_quantizer import SignQuantizer
from keras_bidalle.validation import check_at_least


@keras.saving.register_keras_serializable(package="keras_bidalle")
class LFQ(SignQuantizer):
    """Replaces each channel by its sign, -1 or 1: 2^code_dim codes.

    A latent's odds are `softmax(2 z . c / temperature)` over all sign vectors
    c. The loss is `commitment_weight * mean((z - sg[q])^2) + entropy_weight *
    (mean H(odds) - diversity_weight * H(mean odds))`; 0 counts as negative.

    Args:
        code_dim: int, the bits of a code, from 1 to 24.
        temperature: float, above 0.
        **kwargs: `commitment_weight` (0.25); `entropy_weight` (0.1), of the
            entropy loss, and in it `diversity_weight` (1), of the even use
            of all codes; `gradient`, as in `HardQuantizer`.

    Raises:
        ValueError: if an argument is out of its range.

    Reference:
        [Language Model Beats Diffusion: Tokenizer is Key to Visual
        Generation](https://arxiv.org/abs/2310.05737), section 3.1; defaults
        as in its open program, https://github.com/TencentARC/SEED-Voken.
    """

    scale = 1.0

    def __init__(
        self,
        code_dim: int,
        *,
        temperature: float = 0.01,
        **kwargs: Any,
    ) -> None:
        super().__init__(code_dim, **kwargs)
        check_at_least(1e-6, temperature=temperature)
        self.temperature = temperature
        # The odds of a bit: 2 z for 1 less -2 z for -1.
        self.sharpness = 4.0 / temperature
        self.group_bits = code_dim
