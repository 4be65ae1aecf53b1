"""Encoder and decoder of DALL-E's discrete VAE, as Keras layers."""

from typing import Any

import keras
from keras import ops

from keras_bidalle.backend.convolution import Conv2D
from keras_bidalle.image_tokenizers.blocks import (
    PACKAGE,
    Half,
    TokenizerLayer,
    build_in_order,
    shape_of_codes,
    shape_of_images,
)
from keras_bidalle.losses.logit_laplace import LogitLaplace, map_pixels
from keras_bidalle.renaming import renamed


def convolution(filters, kernel_size, dtype):
    """A convolution that keeps the size and begins as the published do."""
    return Conv2D(
        filters,
        kernel_size,
        padding="same",
        kernel_initializer=keras.initializers.VarianceScaling(
            1.0, "fan_in", "untruncated_normal"
        ),
        dtype=dtype,
    )


@keras.saving.register_keras_serializable(package=PACKAGE)
class BottleneckBlock(TokenizerLayer):
    """Four times ReLU and convolution at a quarter of the width.

    The result is added, times `gain`, to the input, or to a 1x1 convolution
    of it where the number of channels changes. There is no normalization: a
    small gain (published as `1 / num_layers**2`) keeps a deep stack stable.
    """

    def __init__(self, filters, kernel_sizes, gain, **kwargs):
        super().__init__(**kwargs)
        self.filters = filters
        self.kernel_sizes = tuple(kernel_sizes)
        self.gain = gain
        hidden = max(1, filters // 4)
        widths = (hidden, hidden, hidden, filters)
        self.convolutions = [
            convolution(width, size, self.dtype_policy)
            for width, size in zip(widths, self.kernel_sizes, strict=True)
        ]

    def build(self, input_shape):
        self.shortcut = None
        if input_shape[-1] != self.filters:
            self.shortcut = convolution(self.filters, 1, self.dtype_policy)
            self.shortcut.build(input_shape)
        for layer in self.convolutions:
            layer.build(input_shape)
            input_shape = (*input_shape[:-1], layer.filters)

    def call(self, x):
        h = x
        for layer in self.convolutions:
            h = layer(ops.relu(h))
        if self.shortcut is not None:
            x = self.shortcut(x)
        return x + self.gain * h

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.filters)


# The names of arguments in configurations of before.
_OLD_NAMES = {"n_hid": "channels", "n_blk_per_group": "num_res_blocks"}


def with_new_names(config, old_names):
    """A saved configuration with the argument names of today.

    Once, a `group_count` of n said that channels double in each of n groups.
    """
    config = renamed(config, old_names)
    if "group_count" in config:
        doubling = [2**i for i in range(config.pop("group_count"))]
        config["channel_multipliers"] = doubling
    return config


class _Half(Half):
    """What the encoder and the decoder share: groups of blocks.

    Between groups the size changes by 2.
    """

    kernel_sizes: tuple[int, ...] = ()

    def __init__(
        self,
        channels=256,
        channel_multipliers=(1, 2, 4, 8),
        num_res_blocks=2,
        epsilon=0.1,
        **kwargs,
    ):
        super().__init__(
            channels, channel_multipliers, num_res_blocks, **kwargs
        )
        self.epsilon = epsilon
        self.likelihood = LogitLaplace(epsilon)

    def _blocks(self, widths, between):
        """Groups of blocks, one width a group, and resizings between."""
        gain = 1.0 / (len(widths) * self.num_res_blocks) ** 2
        layers = []
        for group, width in enumerate(widths):
            layers += [self.part(between)] if group else []
            layers += [
                self.part(BottleneckBlock, width, self.kernel_sizes, gain)
                for _ in range(self.num_res_blocks)
            ]
        return layers

    @property
    def bottlenecks(self):
        """The bottleneck blocks alone, in order."""
        return [b for b in self.blocks if isinstance(b, BottleneckBlock)]

    @classmethod
    def current_arguments(cls, config):
        return with_new_names(config, _OLD_NAMES)


@keras.saving.register_keras_serializable(package=PACKAGE)
class DiscreteVAEEncoder(_Half):
    """From images to what the logits over codes are read from.

    A 7x7 convolution, then groups of bottleneck blocks with 2x2 max pooling
    between them, and a ReLU. The published last layer, a 1x1 convolution to
    one logit a code, is the projection of the `GumbelQuantizer` that follows.

    Args:
        *args, **kwargs: `channels`, `channel_multipliers`, `num_res_blocks`
            and `epsilon`, with the defaults of `DiscreteVAE`.

    Call arguments:
        images: float tensor (B, H, W, C) in [-1, 1]. The result is
            (B, H/f, W/f, output_channels), f = 2**(number of groups - 1).

    Reference:
        [Zero-Shot Text-to-Image Generation](
        https://arxiv.org/abs/2102.12092), appendix A.1.
    """

    kernel_sizes = (3, 3, 3, 1)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        # Images are mapped in float32, then cast by the first layer.
        super().__init__(*args, autocast=False, **kwargs)
        self.conv_in = convolution(self.widths[0], 7, self.dtype_policy)
        self.blocks = self._blocks(self.widths, _halve)

    @property
    def output_channels(self) -> Any:
        """Channels of the latents."""
        return self.widths[-1]

    def build(self, input_shape: Any) -> Any:
        build_in_order([self.conv_in, *self.blocks], input_shape)

    def call(self, images: Any, training: Any = None) -> Any:
        x = self.conv_in(map_pixels(images, self.likelihood.epsilon))
        for layer in self.blocks:
            x = layer(x)
        return ops.relu(x)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return shape_of_codes(input_shape, self.factor, self.output_channels)


@keras.saving.register_keras_serializable(package=PACKAGE)
class DiscreteVAEDecoder(_Half):
    """From code vectors to images, by way of their likelihood.

    Groups of bottleneck blocks with nearest-neighbor upsampling between
    them, a ReLU, and a 1x1 convolution to mu and ln b for each value of an
    image. The published first layer, a
    1x1 convolution of one-hot codes, is the codebook of the
    `GumbelQuantizer` before it.

    Args:
        *args, **kwargs: as in `DiscreteVAEEncoder`.
        output_channels: int, channels of the images.

    Call arguments:
        latents: float tensor (B, h, w, code_dim). The result is
            (B, f * h, f * w, output_channels), float32 in [-1, 1].

    Reference:
        [Zero-Shot Text-to-Image Generation](
        https://arxiv.org/abs/2102.12092), appendix A.1.
    """

    kernel_sizes = (1, 3, 3, 3)

    def __init__(
        self, *args: Any, output_channels: int = 3, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.output_channels = output_channels
        self.blocks = self._blocks(self.widths[::-1], _double)
        # Of a likelihood, half precision would lose the differences.
        self.conv_out = convolution(2 * output_channels, 1, "float32")

    def build(self, input_shape: Any) -> Any:
        build_in_order([*self.blocks, self.conv_out], input_shape)

    def call(self, latents: Any, training: Any = None) -> Any:
        return self.head(self.features(latents, training=training))

    def features(self, latents: Any, training: Any = None) -> Any:
        """Everything but the last convolution: (B, f*h, f*w, widths[0])."""
        x = latents
        for layer in self.blocks:
            x = layer(x)
        return ops.relu(x)

    def statistics(self, latents: Any, training: bool | None = None) -> Any:
        """What the likelihood is read from, mu then ln b of each value.

        Returns:
            float32 tensor (B, f*h, f*w, 2 * output_channels).
        """
        return self.conv_out(self.features(latents, training=training))

    def head(self, features: Any) -> Any:
        """From features to float32 images in [-1, 1]."""
        return self.likelihood.pictures(self.conv_out(features))

    @property
    def feature_losses(self) -> Any:
        """Losses of images and features, for `compile` by name."""

        def logit_laplace(images, features):
            return self.likelihood(images, self.conv_out(features))

        return {"logit_laplace": logit_laplace}

    def compute_output_shape(self, input_shape: Any) -> Any:
        return shape_of_images(input_shape, self.factor, self.output_channels)


def _halve(dtype):
    return keras.layers.MaxPooling2D(
        2, data_format="channels_last", dtype=dtype
    )


def _double(dtype):
    return keras.layers.UpSampling2D(
        2, data_format="channels_last", interpolation="nearest", dtype=dtype
    )
