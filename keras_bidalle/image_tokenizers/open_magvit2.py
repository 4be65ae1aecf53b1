"""Open-MAGVIT2: a tokenizer for codes that are the signs of few channels."""

from typing import Any

import keras

from keras_bidalle.image_tokenizers.blocks import PACKAGE
from keras_bidalle.image_tokenizers.image_tokenizer import ImageTokenizer
from keras_bidalle.image_tokenizers.open_magvit2_layers import (
    OpenMAGVIT2Decoder,
    OpenMAGVIT2Encoder,
)
from keras_bidalle.image_tokenizers.sizes import check_given
from keras_bidalle.validation import as_integers


@keras.saving.register_keras_serializable(package=PACKAGE)
class OpenMAGVIT2(ImageTokenizer):
    """The convolutional tokenizer of Open-MAGVIT2.

    Encoder, quantizer, decoder, without attention. The defaults are those
    published for 256x256 images and 16x16 codes of 2^18 kinds; the tokenizer
    of 8x8 pixels a code has `channel_multipliers=(1, 2, 2, 4)`.

    Args:
        quantizer: a `keras_bidalle.quantizers.Quantizer`, published as
            `LFQ(18)`. The encoder gives as many channels as it takes.
        image_shape: tuple (H, W, C).
        channels: int, channels of the level at full size.
        channel_multipliers: tuple of int, one for each level; the size
            halves between levels.
        num_res_blocks: int, residual blocks in each level, and between
            encoder and decoder on each side.
        dtype: str or policy.

    Example:

    ```python
    tokenizer = OpenMAGVIT2(LFQ(18))
    tokenizer.code_shape  # (16, 16)
    ```

    Reference:
        Luo et al., "Open-MAGVIT2: An Open-Source Project Toward
        Democratizing Auto-Regressive Visual Generation", 2024, section 3.1
        (arXiv:2409.04410), and its program,
        https://github.com/TencentARC/SEED-Voken.
    """

    def __init__(
        self,
        quantizer: Any,
        image_shape: Any = (256, 256, 3),
        channels: int = 128,
        channel_multipliers: Any = (1, 1, 2, 2, 4),
        num_res_blocks: int = 4,
        dtype: Any = None,
        name: Any = None,
        trainable: bool = True,
    ) -> None:
        check_given(quantizer, image_shape)
        levels: dict[str, Any] = {
            "channels": channels,
            "channel_multipliers": as_integers(
                channel_multipliers=channel_multipliers
            ),
            "num_res_blocks": num_res_blocks,
        }
        encoder = OpenMAGVIT2Encoder(
            **levels,
            z_channels=quantizer.input_dim,
            dtype=dtype,
            name="encoder",
        )
        decoder = OpenMAGVIT2Decoder(
            **levels,
            z_channels=quantizer.output_dim,
            output_channels=image_shape[-1],
            dtype=dtype,
            name="decoder",
        )
        super().__init__(
            encoder,
            quantizer,
            decoder,
            image_shape,
            dtype=dtype,
            name=name,
            trainable=trainable,
        )
        self._keep(**levels)
