"""RQ-VAE: VQGAN's convolutions around a residual quantizer."""

from typing import Any

import keras

from keras_bidalle.image_tokenizers.blocks import PACKAGE
from keras_bidalle.image_tokenizers.vqgan import VQGAN

# Where the published configuration differs from TE-VQGAN's.
_PUBLISHED = {
    "channel_multipliers": (1, 1, 2, 2, 4, 4),
    "num_res_blocks": 2,
    "attention_resolutions": (8,),
    "encoder_padding_mode": "zero",
}


@keras.saving.register_keras_serializable(package=PACKAGE)
class RQVAE(VQGAN):
    """The image tokenizer with a stack of codes at each place of a grid.

    A coarse grid keeps a generator's sequence short, and the stack's depth
    keeps the image. The defaults are those published for ImageNet, of
    256x256 images and 8x8 places. The published loss is
    `compile(reconstruction_loss="l2")` with LPIPS of weight 1 and an
    adversarial loss.

    Args:
        quantizer: a `keras_bidalle.quantizers.Quantizer`, published as a
            `ResidualQuantizer` with one `RestartingVectorQuantizer` of 16384
            codes of dimension 256 that all four depths share.
        image_shape: tuple (H, W, C).
        **kwargs: as in `VQGAN`, by default `channel_multipliers=(1, 1, 2, 2,
            4, 4)`, `num_res_blocks=2`, `attention_resolutions=(8,)` and
            `encoder_padding_mode="zero"`.

    Example:

    ```python
    tokenizer = RQVAE(
        ResidualQuantizer(RestartingVectorQuantizer(16384, 256), code_depth=4)
    )
    codes = tokenizer.encode(images)                   # (B, 8, 8, 4)
    coarse = tokenizer.decode(codes[..., :2])          # of the first two
    coarse = tokenizer.reconstruct(images, depth=2)    # the same
    ```

    Reference:
        Lee et al., "Autoregressive Image Generation using Residual
        Quantization", 2022, section 3.1 (arXiv:2203.01941).
    """

    def __init__(
        self, quantizer: Any, image_shape: Any = (256, 256, 3), **kwargs: Any
    ) -> None:
        super().__init__(quantizer, image_shape, **{**_PUBLISHED, **kwargs})
