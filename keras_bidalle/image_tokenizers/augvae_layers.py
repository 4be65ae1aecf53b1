"""Encoders and decoders of AugVAE: VQGAN's, one for each level."""

import dataclasses

import keras
from keras import ops

from keras_bidalle.backend.convolution import Conv2D
from keras_bidalle.image_tokenizers.augvae_levels import Levels
from keras_bidalle.image_tokenizers.blocks import (
    PACKAGE,
    TokenizerLayer,
    build_in_order,
    shape_of_images,
)
from keras_bidalle.image_tokenizers.vqgan_layers import (
    VQGANDecoder,
    VQGANEncoder,
)


@keras.saving.register_keras_serializable(package=PACKAGE)
class LevelProjection(TokenizerLayer):
    """A 1x1 convolution of each level: one kernel, a bias for each."""

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


class _LevelsLayer(TokenizerLayer):
    """A layer that is made of `Levels`, given by their names."""

    def __init__(self, *, name=None, trainable=True, dtype=None, **levels):
        super().__init__(name=name, trainable=trainable, dtype=dtype)
        self.levels = Levels(**levels)

    @property
    def factor(self):
        """How many pixels on a side the coarsest code stands for."""
        return self.levels.factors[-1]

    def get_config(self):
        return {**super().get_config(), **dataclasses.asdict(self.levels)}


@keras.saving.register_keras_serializable(package=PACKAGE)
class MultiLevelEncoder(_LevelsLayer):
    """From images to the latents of each level, one encoder after another.

    The result is a tuple of tensors (B, H/f, W/f, z_channels), f each of
    `levels.factors`.
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.encoders = [
            self.levels.half(
                VQGANEncoder,
                level,
                z_channels=self.levels.z_channels,
                dtype=self.dtype_policy,
            )
            for level in range(self.levels.num_levels)
        ]

    def build(self, input_shape):
        build_in_order(self.encoders, input_shape)

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
    """From images to the latents of the coarsest level alone."""

    def call(self, images, training=None):
        return super().call(images, training=training)[-1]

    def compute_output_shape(self, input_shape):
        return super().compute_output_shape(input_shape)[-1]


class _ImageDecoder(_LevelsLayer):
    """Decoders from the coarsest level to the image, one after another."""

    def __init__(self, output_channels=3, **kwargs):
        super().__init__(**kwargs)
        self.output_channels = output_channels
        inner_channels = self.levels.z_channels
        # In the order in which latents pass them, the image's last.
        self.decoders = [
            self.levels.half(
                VQGANDecoder,
                level,
                output_channels=inner_channels if level else output_channels,
                dtype=self.dtype_policy,
            )
            for level in reversed(range(self.levels.num_levels))
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
            if decoder is not self.decoders[-1]:
                x = decoder(x, training=training)
        return decoder.features(x, training=training)

    def head(self, features):
        """The last convolution: from features to float32 images."""
        return self.decoders[-1].head(features)

    def _decoder_input(self, latents, decoded, number):
        """What a decoder gets, given what the one before it gave."""
        raise NotImplementedError


@keras.saving.register_keras_serializable(package=PACKAGE)
class MultiLevelDecoder(_ImageDecoder):
    """From the latents of all levels to images, coarse to fine.

    Each decoder but the first also gets what the one before it made. The
    latents are a tuple, fine to coarse.
    """

    def build(self, input_shape):
        for number, shape in enumerate(reversed(input_shape)):
            width = shape[-1] + (self.levels.z_channels if number else 0)
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
    """From the latents of one level to images, by a multi-level's decoders.

    Where those took a level's latents beside what the decoder before them
    made, a 1x1 convolution (a connector) now makes both of what there is.
    There is none (`first_connector`) before a first decoder that is the
    multi-level's first as well.
    """

    def __init__(self, first_connector=True, **kwargs):
        super().__init__(**kwargs)
        self.first_connector = first_connector
        self.connectors = [
            Conv2D(2 * self.levels.z_channels, 1, dtype=self.dtype_policy)
            for _ in range(self.levels.num_levels - (not first_connector))
        ]

    def build(self, input_shape):
        for number, decoder in enumerate(self.decoders):
            connector = self._connector(number)
            layers = [decoder] if connector is None else [connector, decoder]
            input_shape = build_in_order(layers, input_shape)

    def _connector(self, number):
        number -= not self.first_connector
        return None if number < 0 else self.connectors[number]

    def _decoder_input(self, latents, decoded, number):
        x = latents if decoded is None else decoded
        connector = self._connector(number)
        return x if connector is None else connector(x)

    def compute_output_shape(self, input_shape):
        return shape_of_images(input_shape, self.factor, self.output_channels)
