"""Four ways to halve a map, one layer each.

They differ in how much a shift of the input by one pixel changes the
output: a strided convolution and plain max pooling alias, the two with a
low-pass filter do less so.
"""

import keras
import numpy as np
from keras import ops

from keras_bidalle.image_tokenizers.blocks import (
    PACKAGE,
    PaddedConv2D,
    TokenizerLayer,
    replication_pad,
    shape_of_codes,
)
from keras_bidalle.validation import check_choice


@keras.saving.register_keras_serializable(package=PACKAGE)
class BlurPool(TokenizerLayer):
    """A 5x5 binomial low-pass filter with stride 2, borders replicated.

    Reference:
        Zhang, "Making Convolutional Networks Shift-Invariant Again", 2019,
        section 3.2 (arXiv:1904.11486).
    """

    def call(self, x):
        row = np.array([1.0, 4.0, 6.0, 4.0, 1.0], "float32") / 16.0
        kernel = np.tile(
            np.outer(row, row)[:, :, None, None], (1, 1, x.shape[-1], 1)
        )
        return ops.depthwise_conv(
            replication_pad(x, 2, 2),
            ops.cast(kernel, x.dtype),
            strides=2,
            padding="valid",
            data_format="channels_last",
        )

    def compute_output_shape(self, input_shape):
        sizes = (None if n is None else (n + 1) // 2 for n in input_shape[1:3])
        return (input_shape[0], *sizes, input_shape[-1])


class Downsampling(TokenizerLayer):
    """From maps (B, H, W, C) of even sides to (B, H/2, W/2, C).

    `padding_mode` is that of the convolution, where there is one.
    """

    def __init__(self, padding_mode="zero", **kwargs):
        super().__init__(**kwargs)
        self.padding_mode = padding_mode

    def compute_output_shape(self, input_shape):
        return shape_of_codes(input_shape, 2, input_shape[-1])


@keras.saving.register_keras_serializable(package=PACKAGE)
class StridedConv(Downsampling):
    """A 3x3 convolution with stride 2."""

    strides = 2

    def build(self, input_shape):
        arguments = (input_shape[-1], 3, self.strides, self.padding_mode)
        self.conv = self.part(PaddedConv2D, *arguments)
        self.conv.build(input_shape)

    def call(self, x):
        return self.conv(x)


@keras.saving.register_keras_serializable(package=PACKAGE)
class ConvBlurPool(StridedConv):
    """A 3x3 convolution with stride 1, then `BlurPool`."""

    strides = 1

    def build(self, input_shape):
        super().build(input_shape)
        self.blur = BlurPool(dtype=self.dtype_policy)

    def call(self, x):
        return self.blur(self.conv(x))


@keras.saving.register_keras_serializable(package=PACKAGE)
class MaxPool(Downsampling):
    """Max pooling over 2x2 with stride 2."""

    def call(self, x):
        return _max_pool(x, 2)


@keras.saving.register_keras_serializable(package=PACKAGE)
class MaxBlurPool(Downsampling):
    """Max pooling with stride 1, then `BlurPool`."""

    def build(self, input_shape):
        self.blur = BlurPool(dtype=self.dtype_policy)

    def call(self, x):
        return self.blur(_max_pool(x, 1))


def _max_pool(x, strides):
    return ops.max_pool(x, 2, strides, "valid", data_format="channels_last")


DOWNSAMPLINGS = {
    "strided_conv": StridedConv,
    "convblurpool": ConvBlurPool,
    "maxpool": MaxPool,
    "maxblurpool": MaxBlurPool,
}


def get_downsampling(name, **kwargs):
    """The downsampling layer of a name; a `ValueError` on any other name."""
    check_choice(DOWNSAMPLINGS, downsampling=name)
    return DOWNSAMPLINGS[name](**kwargs)
