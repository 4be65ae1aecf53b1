"""Encoders and decoders of AugVAE: VQGAN's, one for each level."""

import keras
from keras import ops

from keras_bidalle.image_tokenizers.blocks import (
    PACKAGE,
    shape_of_images,
)
from keras_bidalle.image_tokenizers.vqgan_layers import (
    VQGANDecoder,
    VQGANEncoder,
)
from keras_bidalle.validation import check_positive


@keras.saving.register_keras_serializable(package=PACKAGE)
class LevelProjection(keras.layers.Layer):
    """A 1x1 convolution of each level: one kernel, a bias for each.

    Args:
        filters: int, channels of the output.

    Call arguments:
        levels: tuple of float tensors (B, h, w, C). The result is a tuple
            of tensors (B, h, w, filters).
    """

    def __init__(self, filters, **kwargs):
        super().__init__(**kwargs)
        self.filters = filters

    def build(self, input_shape):
        self.kernel = self.add_weight(
            name="kernel", shape=(input_shape[0][-1], self.filters)
        )
        self.bias = self.add_weight(
            name="bias",
            shape=(len(input_shape), self.filters),
            initializer="zeros",
        )

    def call(self, levels):
        return tuple(
            ops.matmul(level, self.kernel) + self.bias[number]
            for number, level in enumerate(levels)
        )

    def compute_output_shape(self, input_shape):
        return tuple((*shape[:-1], self.filters) for shape in input_shape)

    def get_config(self):
        return {**super().get_config(), "filters": self.filters}


class _Levels(keras.layers.Layer):
    """What all the halves share: a VQGAN half for each level.

    Args:
        resolution: int, height of the pictures.
        z_channels: int, channels between the halves.
        num_levels: int.
        channels: int, what the multipliers multiply.
        channel_multipliers: tuple of int, of the half next to the picture.
        next_channel_multipliers: tuple of int, of each other one.
        num_res_blocks: int, residual blocks at each size.
        attention: bool, whether there is self-attention at the size of each
            level's codes.
        dropout: float.
    """

    def __init__(
        self,
        resolution,
        z_channels=256,
        num_levels=4,
        channels=128,
        channel_multipliers=(1, 2, 4),
        next_channel_multipliers=(2, 4),
        num_res_blocks=2,
        attention=False,
        dropout=0.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_positive(num_levels=num_levels)
        self.resolution = resolution
        self.z_channels = z_channels
        self.num_levels = num_levels
        self.channels = channels
        self.channel_multipliers = tuple(channel_multipliers)
        self.next_channel_multipliers = tuple(next_channel_multipliers)
        self.num_res_blocks = num_res_blocks
        self.attention = attention
        self.dropout = dropout

    @property
    def factors(self):
        """Pixels on a side of a code, for each level, fine to coarse."""
        first = 2 ** (len(self.channel_multipliers) - 1)
        step = 2 ** (len(self.next_channel_multipliers) - 1)
        return tuple(first * step**level for level in range(self.num_levels))

    @property
    def factor(self):
        return self.factors[-1]

    def _half(self, kind, level, **kwargs):
        """The encoder into a level, or the decoder out of it."""
        outer = self.factors[level - 1] if level else 1
        code_side = self.resolution // self.factors[level]
        return kind(
            resolution=self.resolution // outer,
            channels=self.channels,
            channel_multipliers=self.next_channel_multipliers
            if level
            else self.channel_multipliers,
            num_res_blocks=self.num_res_blocks,
            attention_resolutions=(code_side,) if self.attention else (),
            middle_attention=self.attention,
            dropout=self.dropout,
            dtype=self.dtype_policy,
            **kwargs,
        )

    def get_config(self):
        return {
            **super().get_config(),
            "resolution": self.resolution,
            "z_channels": self.z_channels,
            "num_levels": self.num_levels,
            "channels": self.channels,
            "channel_multipliers": list(self.channel_multipliers),
            "next_channel_multipliers": list(self.next_channel_multipliers),
            "num_res_blocks": self.num_res_blocks,
            "attention": self.attention,
            "dropout": self.dropout,
        }


@keras.saving.register_keras_serializable(package=PACKAGE)
class MultiLevelEncoder(_Levels):
    """From pictures to the latents of each level, one encoder after another.

    Args:
        **kwargs: as `_Levels`.

    Call arguments:
        images: float tensor (B, H, W, C). The result is a tuple of tensors
            (B, H/f, W/f, z_channels), f each of `factors`.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.encoders = [
            self._half(VQGANEncoder, level, z_channels=self.z_channels)
            for level in range(self.num_levels)
        ]

    def build(self, input_shape):
        for encoder in self.encoders:
            encoder.build(input_shape)
            input_shape = encoder.compute_output_shape(input_shape)

    def call(self, images, training=None):
        levels, x = [], images
        for encoder in self.encoders:
            x = encoder(x, training=training)
            levels.append(x)
        return tuple(levels)

    def compute_output_shape(self, input_shape):
        shapes = []
        for encoder in self.encoders:
            input_shape = encoder.compute_output_shape(input_shape)
            shapes.append(input_shape)
        return tuple(shapes)


@keras.saving.register_keras_serializable(package=PACKAGE)
class LastLevelEncoder(MultiLevelEncoder):
    """From pictures to the latents of the coarsest level alone.

    Args:
        **kwargs: as `_Levels`.

    Call arguments:
        images: float tensor (B, H, W, C). The result is
            (B, H/f, W/f, z_channels).
    """

    def call(self, images, training=None):
        return super().call(images, training=training)[-1]

    def compute_output_shape(self, input_shape):
        return super().compute_output_shape(input_shape)[-1]


class _ImageDecoder(_Levels):
    """Decoders from the coarsest level to the picture, one after another."""

    def __init__(self, resolution, output_channels=3, **kwargs):
        super().__init__(resolution, **kwargs)
        self.output_channels = output_channels
        # In the order in which latents pass them, the picture's last.
        self.decoders = [
            self._half(
                VQGANDecoder,
                level,
                output_channels=self.z_channels if level else output_channels,
            )
            for level in reversed(range(self.num_levels))
        ]

    @property
    def conv_out(self):
        return self.decoders[-1].conv_out

    def call(self, latents, training=None):
        return self.head(self.features(latents, training=training))

    def features(self, latents, training=None):
        """Everything but the last convolution: (B, H, W, channels)."""
        x = None
        for number, decoder in enumerate(self.decoders):
            x = self._decoder_input(latents, x, number)
            if number < self.num_levels - 1:
                x = decoder(x, training=training)
        return decoder.features(x, training=training)

    def head(self, features):
        """The last convolution: from features to float32 pictures."""
        return self.decoders[-1].head(features)

    def _decoder_input(self, latents, decoded, number):
        """What a decoder gets, given what the one before it gave."""
        raise NotImplementedError

    def get_config(self):
        return {
            **super().get_config(),
            "output_channels": self.output_channels,
        }


@keras.saving.register_keras_serializable(package=PACKAGE)
class MultiLevelDecoder(_ImageDecoder):
    """From the latents of all levels to pictures, coarse to fine.

    Each decoder but the first also gets what the one before it made.

    Args:
        output_channels: int, channels of the pictures.
        **kwargs: as `_Levels`.

    Call arguments:
        latents: tuple of float tensors (B, h, w, z_channels), fine to
            coarse. The result is (B, H, W, output_channels), float32.
    """

    def build(self, input_shape):
        for number, shape in enumerate(reversed(input_shape)):
            width = shape[-1] + (self.z_channels if number else 0)
            self.decoders[number].build((*shape[:-1], width))

    def _decoder_input(self, latents, decoded, number):
        latents = latents[-1 - number]
        if decoded is None:
            return latents
        return ops.concatenate(
            [latents, ops.cast(decoded, latents.dtype)], axis=-1
        )

    def compute_output_shape(self, input_shape):
        return self.decoders[-1].compute_output_shape(input_shape[0])


@keras.saving.register_keras_serializable(package=PACKAGE)
class SingleLevelDecoder(_ImageDecoder):
    """From the latents of one level to pictures, by a multi-level's decoders.

    Where those took a level's latents beside what the decoder before them
    made, a 1x1 convolution (a connector) now makes both of what there is.

    Args:
        output_channels: int, channels of the pictures.
        first_connector: bool, whether there is a connector before the first
            decoder: not so where that is the multi-level's first as well.
        **kwargs: as `_Levels`.

    Call arguments:
        latents: float tensor (B, h, w, z_channels). The result is
            (B, H, W, output_channels), float32.
    """

    def __init__(self, resolution, first_connector=True, **kwargs):
        super().__init__(resolution, **kwargs)
        self.first_connector = first_connector
        self.connectors = [
            keras.layers.Conv2D(2 * self.z_channels, 1, dtype=self.dtype_policy)
            for _ in range(self.num_levels - (not first_connector))
        ]

    def build(self, input_shape):
        width = input_shape[-1]
        for number, decoder in enumerate(self.decoders):
            shape = (*input_shape[:-1], width)
            connector = self._connector(number)
            if connector is not None:
                connector.build(shape)
                shape = connector.compute_output_shape(shape)
            decoder.build(shape)
            width = self.z_channels

    def _connector(self, number):
        number -= not self.first_connector
        return None if number < 0 else self.connectors[number]

    def _decoder_input(self, latents, decoded, number):
        x = latents if decoded is None else decoded
        connector = self._connector(number)
        return x if connector is None else connector(x)

    def compute_output_shape(self, input_shape):
        return shape_of_images(input_shape, self.factor, self.output_channels)

    def get_config(self):
        return {
            **super().get_config(),
            "first_connector": self.first_connector,
        }
