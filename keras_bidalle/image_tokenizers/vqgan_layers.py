"""Encoder and decoder of the VQGAN family, as Keras layers."""

from typing import Any

import keras
from keras import ops

from keras_bidalle.image_tokenizers.blocks import (
    PACKAGE,
    Half,
    PaddedConv2D,
    ResidualBlock,
    SpatialAttention,
    TokenizerLayer,
    Upsample,
    build_in_order,
    check_padding_mode,
    group_norm,
    shape_of_codes,
    shape_of_images,
)
from keras_bidalle.image_tokenizers.downsampling import get_downsampling
from keras_bidalle.validation import (
    as_integers,
    check_at_least,
    check_flag,
    check_positive,
    refused,
)


class Level(TokenizerLayer):
    """Residual blocks of one resolution, then a change of resolution.

    `attention` says whether self-attention follows each block; `resample` is
    the layer that changes the resolution, or None.
    """

    def __init__(
        self,
        channels,
        num_blocks,
        attention,
        resample,
        dropout,
        padding_mode,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.channels = channels
        self.block = [
            self.part(ResidualBlock, channels, dropout, padding_mode)
            for _ in range(num_blocks)
        ]
        self.attn = [
            self.part(SpatialAttention)
            for _ in range(num_blocks if attention else 0)
        ]
        self.resample = resample

    def build(self, input_shape):
        last = [] if self.resample is None else [self.resample]
        build_in_order([*self.block, *self.attn, *last], input_shape)

    def call(self, x, training=None):
        for i, block in enumerate(self.block):
            x = block(x, training=training)
            if self.attn:
                x = self.attn[i](x)
        return x if self.resample is None else self.resample(x)

    def compute_output_shape(self, input_shape):
        shape = (*input_shape[:-1], self.channels)
        if self.resample is None:
            return shape
        return self.resample.compute_output_shape(shape)


class Middle(TokenizerLayer):
    """Residual block, self-attention (if any), residual block."""

    def __init__(self, dropout, padding_mode, attention=True, **kwargs):
        super().__init__(**kwargs)
        self.attention = attention
        self.dropout = dropout
        self.padding_mode = padding_mode

    def build(self, input_shape):
        arguments = (input_shape[-1], self.dropout, self.padding_mode)
        self.block_1 = self.part(ResidualBlock, *arguments)
        self.attn_1 = None
        if self.attention:
            self.attn_1 = self.part(SpatialAttention)
            self.attn_1.build(input_shape)
        self.block_2 = self.part(ResidualBlock, *arguments)
        for layer in (self.block_1, self.block_2):
            layer.build(input_shape)

    def call(self, x, training=None):
        x = self.block_1(x, training=training)
        if self.attn_1 is not None:
            x = self.attn_1(x)
        return self.block_2(x, training=training)


class _Half(Half):
    """What the encoder and the decoder share."""

    def __init__(
        self,
        resolution,
        channels=128,
        channel_multipliers=(1, 2, 2),
        num_res_blocks=1,
        attention_resolutions=(16,),
        dropout=0.0,
        padding_mode="zero",
        middle_attention=True,
        **kwargs,
    ):
        super().__init__(
            channels, channel_multipliers, num_res_blocks, **kwargs
        )
        check_padding_mode(padding_mode)
        check_positive(resolution=resolution)
        check_flag(middle_attention=middle_attention)
        check_at_least(dropout=dropout)
        if dropout >= 1:
            raise refused("lie in [0, 1)", dropout=dropout)
        self.middle_attention = middle_attention
        self.resolution = resolution
        self.attention_resolutions = as_integers(
            attention_resolutions=attention_resolutions
        )
        self.dropout = dropout
        self.padding_mode = padding_mode

    def _level(self, index, num_blocks, resample):
        return self.part(
            Level,
            self.widths[index],
            num_blocks,
            self.resolution // 2**index in self.attention_resolutions,
            resample,
            self.dropout,
            self.padding_mode,
        )

    def _conv(self, channels):
        mode = {"padding_mode": self.padding_mode}
        return self.part(PaddedConv2D, channels, 3, **mode)

    def _middle(self):
        arguments = (self.dropout, self.padding_mode, self.middle_attention)
        return self.part(Middle, *arguments)


@keras.saving.register_keras_serializable(package=PACKAGE)
class VQGANEncoder(_Half):
    """From images to latents, halving the size between levels.

    Args:
        resolution: int, side of the images: attention stands where
            `resolution / 2**level` is in `attention_resolutions`.
        z_channels: int, channels of the output.
        downsampling, downsampling_padding_mode: as in `VQGAN`.
        **kwargs: `padding_mode="zero"` and, as in `VQGAN`, `channels=128`,
            `channel_multipliers=(1, 2, 2)`, `num_res_blocks=1`,
            `attention_resolutions=(16,)` and `dropout=0.0`;
            `middle_attention=True`, whether there is self-attention at the
            smallest size, between two residual blocks.

    Call arguments:
        images: float tensor (B, H, W, C) in [-1, 1]. The result is
            (B, H/f, W/f, z_channels), f = 2**(number of levels - 1).
    """

    def __init__(
        self,
        resolution: int,
        z_channels: int = 256,
        downsampling: Any = "strided_conv",
        downsampling_padding_mode: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(resolution, **kwargs)
        if downsampling_padding_mode is not None:
            check_padding_mode(
                downsampling_padding_mode, "downsampling_padding_mode"
            )
        check_positive(z_channels=z_channels)
        self.z_channels = z_channels
        self.downsampling = downsampling
        self.downsampling_padding_mode = downsampling_padding_mode
        last = len(self.channel_multipliers) - 1
        self.conv_in = self._conv(self.channels)
        self.down = [
            self._level(i, self.num_res_blocks, self._resample(i < last))
            for i in range(last + 1)
        ]
        self.mid = self._middle()
        self.norm_out = self.part(group_norm, self.widths[-1])
        self.conv_out = self._conv(z_channels)

    def _resample(self, wanted):
        layer = get_downsampling(
            self.downsampling,
            padding_mode=self.downsampling_padding_mode or self.padding_mode,
            dtype=self.dtype_policy,
        )
        return layer if wanted else None

    def build(self, input_shape: Any) -> Any:
        middle = [self.conv_in, *self.down, self.mid, self.norm_out]
        build_in_order([*middle, self.conv_out], input_shape)

    def call(self, images: Any, training: Any = None) -> Any:
        x = self.conv_in(images)
        for level in self.down:
            x = level(x, training=training)
        x = self.mid(x, training=training)
        return self.conv_out(ops.silu(self.norm_out(x)))

    def compute_output_shape(self, input_shape: Any) -> Any:
        return shape_of_codes(input_shape, self.factor, self.z_channels)


@keras.saving.register_keras_serializable(package=PACKAGE)
class VQGANDecoder(_Half):
    """From latents back to images, doubling the size between levels.

    Each level has one residual block more than the encoder's.

    Args:
        resolution: int, side of the images.
        output_channels: int, channels of the images.
        **kwargs: as in `VQGANEncoder`.

    Call arguments:
        latents: float tensor (B, h, w, z_channels). The result is
            (B, f * h, f * w, output_channels), float32.
    """

    def __init__(
        self, resolution: int, output_channels: int = 3, **kwargs: Any
    ) -> None:
        super().__init__(resolution, **kwargs)
        self.output_channels = output_channels
        self.conv_in = self._conv(self.widths[-1])
        self.mid = self._middle()
        # In the order of the channel multipliers; applied from the last.
        self.up = [
            self._level(i, self.num_res_blocks + 1, self._resample(i > 0))
            for i in range(len(self.channel_multipliers))
        ]
        self.norm_out = self.part(group_norm, self.widths[0])
        self.conv_out = self._conv(output_channels)

    def _resample(self, wanted):
        return self.part(Upsample, self.padding_mode) if wanted else None

    def build(self, input_shape: Any) -> Any:
        middle = [self.conv_in, self.mid, *self.up[::-1], self.norm_out]
        build_in_order([*middle, self.conv_out], input_shape)

    def call(self, latents: Any, training: Any = None) -> Any:
        return self.head(self.features(latents, training=training))

    def features(self, latents: Any, training: Any = None) -> Any:
        """Everything but the last convolution: (B, f*h, f*w, channels)."""
        x = self.mid(self.conv_in(latents), training=training)
        for level in reversed(self.up):
            x = level(x, training=training)
        return ops.silu(self.norm_out(x))

    def head(self, features: Any) -> Any:
        """The last convolution: from features to float32 images."""
        return ops.cast(self.conv_out(features), "float32")

    def compute_output_shape(self, input_shape: Any) -> Any:
        return shape_of_images(input_shape, self.factor, self.output_channels)
