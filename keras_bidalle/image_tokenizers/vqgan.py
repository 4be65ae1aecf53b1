"""VQGAN and TE-VQGAN: the convolutional image tokenizer."""

from typing import Any

import keras

from keras_bidalle.backend.convolution import Conv2D
from keras_bidalle.image_tokenizers.blocks import PACKAGE
from keras_bidalle.image_tokenizers.image_tokenizer import ImageTokenizer
from keras_bidalle.image_tokenizers.sizes import check_given
from keras_bidalle.image_tokenizers.vqgan_layers import (
    VQGANDecoder,
    VQGANEncoder,
)
from keras_bidalle.validation import as_integers


@keras.saving.register_keras_serializable(package=PACKAGE)
class VQGAN(ImageTokenizer):
    """The convolutional tokenizer of VQGAN and TE-VQGAN.

    Encoder, 1x1 convolution, quantizer, 1x1 convolution, decoder. The
    defaults are those published for TE-VQGAN on 64x64 images: 16x16
    codes, replication padding in the encoder only, self-attention at 16.
    Plain VQGAN (CompVis) is `encoder_padding_mode="zero"` with its own
    numbers. Replication padding hides the border from the encoder, which
    otherwise gives the same object other codes in other places.

    Args:
        quantizer: a `keras_bidalle.quantizers.Quantizer`, published as
            `OrthogonalVectorQuantizer(num_codes=128, code_dim=256)`.
        image_shape: tuple (H, W, C).
        channels: int, channels of the level at full size.
        channel_multipliers: tuple of int, one for each level; the size
            halves between levels.
        num_res_blocks: int, residual blocks in each level (the decoder has
            one more).
        attention_resolutions: tuple of int, sides of the maps that
            self-attention follows each block at, counted from the height
            in `image_shape`.
        dropout: float.
        z_channels: int, channels of the encoder's output.
        downsampling: `"strided_conv"`, `"convblurpool"`, `"maxpool"` or
            `"maxblurpool"`.
        encoder_padding_mode: `"replication"` or `"zero"`.
        downsampling_padding_mode: `"replication"` or `"zero"`, for the
            convolutions that halve the map in the encoder; `None` for
            `encoder_padding_mode`.
        decoder_padding_mode: `"zero"` or `"replication"`.
        dtype: str or policy.

    Example:

    ```python
    tokenizer = VQGAN(OrthogonalVectorQuantizer(num_codes=128, code_dim=256))
    tokenizer.code_shape  # (16, 16)
    ```

    Reference:
        Shin et al., "Translation-equivariant Image Quantizer for
        Bi-directional Image-Text Generation", 2021 (arXiv:2112.00384);
        Esser et al., "Taming Transformers for High-Resolution Image
        Synthesis", 2021, section 3.1 (arXiv:2012.09841).
    """

    def __init__(
        self,
        quantizer: Any,
        image_shape: Any = (64, 64, 3),
        channels: int = 128,
        channel_multipliers: Any = (1, 2, 2),
        num_res_blocks: int = 1,
        attention_resolutions: Any = (16,),
        dropout: float = 0.0,
        z_channels: int = 256,
        downsampling: Any = "strided_conv",
        encoder_padding_mode: Any = "replication",
        downsampling_padding_mode: Any = None,
        decoder_padding_mode: Any = "zero",
        dtype: Any = None,
        name: Any = None,
        trainable: bool = True,
    ) -> None:
        check_given(quantizer, image_shape)
        levels = {
            "channels": channels,
            "channel_multipliers": as_integers(
                channel_multipliers=channel_multipliers
            ),
            "num_res_blocks": num_res_blocks,
            "attention_resolutions": as_integers(
                attention_resolutions=attention_resolutions
            ),
            "dropout": dropout,
        }
        shared = {"resolution": image_shape[0], "dtype": dtype, **levels}
        encoder = VQGANEncoder(
            z_channels=z_channels,
            downsampling=downsampling,
            padding_mode=encoder_padding_mode,
            downsampling_padding_mode=downsampling_padding_mode,
            name="encoder",
            **shared,
        )
        decoder = VQGANDecoder(
            output_channels=image_shape[-1],
            padding_mode=decoder_padding_mode,
            name="decoder",
            **shared,
        )
        super().__init__(
            encoder,
            quantizer,
            decoder,
            image_shape,
            quant_conv=Conv2D(
                quantizer.input_dim, 1, dtype=dtype, name="quant_conv"
            ),
            post_quant_conv=Conv2D(
                z_channels, 1, dtype=dtype, name="post_quant_conv"
            ),
            dtype=dtype,
            name=name,
            trainable=trainable,
        )
        self._keep(
            **levels,
            z_channels=z_channels,
            downsampling=downsampling,
            encoder_padding_mode=encoder_padding_mode,
            downsampling_padding_mode=downsampling_padding_mode,
            decoder_padding_mode=decoder_padding_mode,
        )
