"""Encoder and decoder of Open-MAGVIT2, as Keras layers.

They are VQGAN's without attention, with more residual blocks and fewer
biases. The decoder looks at the whole image's codes at each level, by their
statistics, and doubles the size by moving channels into space.
"""

import math
from typing import Any

import keras
from keras import layers, ops

from keras_bidalle.backend.convolution import Conv2D
from keras_bidalle.backend.keras_internals import pad
from keras_bidalle.image_tokenizers.blocks import (
    PACKAGE,
    Half,
    PaddedConv2D,
    ResidualBlock,
    TokenizerLayer,
    build_in_order,
    group_norm,
    shape_of_codes,
    shape_of_images,
)
from keras_bidalle.image_tokenizers.downsampling import Downsampling
from keras_bidalle.validation import check_positive


class _Blocks(TokenizerLayer):
    """Residual blocks without biases, then a change of resolution or none."""

    def __init__(self, channels, num_blocks, resample=None, **kwargs):
        super().__init__(**kwargs)
        self.channels = channels
        self.block = [
            self.part(ResidualBlock, channels, use_bias=False)
            for _ in range(num_blocks)
        ]
        self.resample = resample

    def _layers_in_order(self):
        last = [] if self.resample is None else [self.resample]
        return [*self.block, *last]

    def build(self, input_shape):
        build_in_order(self._layers_in_order(), input_shape)

    def call(self, x):
        for layer in self._layers_in_order():
            x = layer(x)
        return x

    def compute_output_shape(self, input_shape):
        shape = (*input_shape[:-1], self.channels)
        if self.resample is None:
            return shape
        return self.resample.compute_output_shape(shape)


class _HalvingConv(Downsampling):
    """A 3x3 convolution with stride 2, a border of zeros on every side."""

    def build(self, input_shape):
        channels = input_shape[-1]
        self.conv = self.part(Conv2D, channels, 3, strides=2, padding="valid")
        self.conv.build(input_shape)

    def call(self, x):
        # Of the border below and to the right nothing is read.
        return self.conv(pad(x, [[0, 0], [1, 0], [1, 0], [0, 0]]))


class _DoublingConv(TokenizerLayer):
    """A 3x3 convolution whose channels become squares of 2x2 pixels."""

    def build(self, input_shape):
        self.conv = self.part(PaddedConv2D, 4 * input_shape[-1], 3)
        self.conv.build(input_shape)

    def call(self, x):
        rows, columns, channels = ops.shape(x)[1:]
        x = ops.reshape(self.conv(x), (-1, rows, columns, 2, 2, channels))
        x = ops.transpose(x, (0, 1, 3, 2, 4, 5))
        return ops.reshape(x, (-1, 2 * rows, 2 * columns, channels))

    def compute_output_shape(self, input_shape):
        return shape_of_images(input_shape, 2, input_shape[-1])


class AdaptiveGroupNorm(TokenizerLayer):
    """GroupNorm whose scale and offset come from an image's latents.

    `gamma(deviation) * norm(x) + beta(mean)`, with the deviation and the mean
    of each channel of the latents over their places.

    Call arguments:
        x: tensor (B, H, W, C).
        latents: tensor (B, h, w, D).

    Reference:
        Open-MAGVIT2, arXiv 2409.04410, section 3.1; the idea: StyleGAN,
        arXiv 1812.04948, section 2.
    """

    def __init__(self, channels, latent_channels, **kwargs):
        super().__init__(**kwargs)
        self.channels = channels
        self.latent_channels = latent_channels
        self.norm = layers.GroupNormalization(
            groups=math.gcd(32, channels),
            epsilon=1e-6,
            center=False,
            scale=False,
            dtype=self.dtype_policy,
        )
        self.gamma = self.part(layers.Dense, channels)
        self.beta = self.part(layers.Dense, channels)

    def build(self, input_shape):
        self.norm.build(input_shape)
        self.gamma.build((None, self.latent_channels))
        self.beta.build((None, self.latent_channels))

    def call(self, x, latents):
        latents = ops.cast(latents, "float32")
        mean = ops.mean(latents, axis=(1, 2))
        rows, columns = ops.shape(latents)[1:3]
        count = ops.cast(rows * columns, "float32")
        squares = ops.square(latents - mean[:, None, None])
        # One place has no deviation.
        variance = ops.sum(squares, axis=(1, 2)) / ops.maximum(count - 1.0, 1.0)
        gamma = self.gamma(ops.sqrt(variance + 1e-6))[:, None, None]
        return gamma * self.norm(x) + self.beta(mean)[:, None, None]


@keras.saving.register_keras_serializable(package=PACKAGE)
class OpenMAGVIT2Encoder(Half):
    """From images to latents, halving the size between levels.

    Args:
        channels, channel_multipliers, num_res_blocks, z_channels: as in
            `OpenMAGVIT2`.

    Call arguments:
        images: float tensor (B, H, W, C) in [-1, 1]. The result is
            (B, H/f, W/f, z_channels), f = 2**(number of levels - 1).
    """

    def __init__(
        self,
        channels: int = 128,
        channel_multipliers: Any = (1, 1, 2, 2, 4),
        num_res_blocks: int = 4,
        z_channels: int = 18,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            channels, channel_multipliers, num_res_blocks, **kwargs
        )
        check_positive(z_channels=z_channels)
        self.z_channels = z_channels
        self.conv_in = self.part(PaddedConv2D, channels, 3, use_bias=False)
        last = len(self.widths) - 1
        self.down = [
            self.part(
                _Blocks,
                width,
                num_res_blocks,
                self.part(_HalvingConv) if level < last else None,
            )
            for level, width in enumerate(self.widths)
        ]
        self.mid = self.part(_Blocks, self.widths[-1], num_res_blocks)
        self.norm_out = self.part(group_norm, self.widths[-1])
        self.conv_out = self.part(Conv2D, z_channels, 1)

    def build(self, input_shape: Any) -> Any:
        middle = [self.conv_in, *self.down, self.mid, self.norm_out]
        build_in_order([*middle, self.conv_out], input_shape)

    def call(self, images: Any, training: Any = None) -> Any:
        x = self.conv_in(images)
        for blocks in (*self.down, self.mid):
            x = blocks(x)
        return self.conv_out(ops.silu(self.norm_out(x)))

    def compute_output_shape(self, input_shape: Any) -> Any:
        return shape_of_codes(input_shape, self.factor, self.z_channels)


@keras.saving.register_keras_serializable(package=PACKAGE)
class OpenMAGVIT2Decoder(Half):
    """From quantized latents back to images, doubling the size.

    Args:
        output_channels: int, channels of the images.
        channels, channel_multipliers, num_res_blocks, z_channels: as in
            `OpenMAGVIT2`.

    Call arguments:
        latents: float tensor (B, h, w, z_channels). The result is
            (B, f * h, f * w, output_channels), float32.
    """

    def __init__(
        self,
        channels: int = 128,
        channel_multipliers: Any = (1, 1, 2, 2, 4),
        num_res_blocks: int = 4,
        z_channels: int = 18,
        output_channels: int = 3,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            channels, channel_multipliers, num_res_blocks, **kwargs
        )
        check_positive(z_channels=z_channels)
        self.z_channels = z_channels
        self.output_channels = output_channels
        self.conv_in = self.part(PaddedConv2D, self.widths[-1], 3)
        self.mid = self.part(_Blocks, self.widths[-1], num_res_blocks)
        # Both in the order of the channel multipliers; applied from the last.
        self.adaptive = [
            self.part(AdaptiveGroupNorm, width, z_channels)
            for width in (*self.widths[1:], self.widths[-1])
        ]
        self.up = [
            self.part(
                _Blocks,
                width,
                num_res_blocks,
                self.part(_DoublingConv) if level else None,
            )
            for level, width in enumerate(self.widths)
        ]
        self.norm_out = self.part(group_norm, self.widths[0])
        self.conv_out = self.part(PaddedConv2D, output_channels, 3)

    def build(self, input_shape: Any) -> Any:
        pairs = zip(self.adaptive[::-1], self.up[::-1], strict=True)
        levels = [layer for pair in pairs for layer in pair]
        middle = [self.conv_in, self.mid, *levels, self.norm_out]
        build_in_order([*middle, self.conv_out], input_shape)

    def call(self, latents: Any, training: Any = None) -> Any:
        return self.head(self.features(latents, training=training))

    def features(self, latents: Any, training: Any = None) -> Any:
        """Everything but the last convolution: (B, f*h, f*w, channels)."""
        x = self.mid(self.conv_in(latents))
        for norm, blocks in zip(
            self.adaptive[::-1], self.up[::-1], strict=True
        ):
            x = blocks(norm(x, latents))
        return ops.silu(self.norm_out(x))

    def head(self, features: Any) -> Any:
        """The last convolution: from features to float32 images."""
        return ops.cast(self.conv_out(features), "float32")

    def compute_output_shape(self, input_shape: Any) -> Any:
        return shape_of_images(input_shape, self.factor, self.output_channels)
