"""The pieces that convolutional image tokenizers are made of."""

import math

import keras
from keras import ops

from keras_bidalle.arguments import Configured
from keras_bidalle.backend.convolution import Conv2D
from keras_bidalle.backend.noise import Dropout
from keras_bidalle.validation import (
    as_integers,
    check_choice,
    check_positive,
    refused,
)

PACKAGE = "keras_bidalle"
PADDING_MODES = ("zero", "replication")


class TokenizerLayer(Configured, keras.layers.Layer):
    """What image tokenizers are made of: by default it keeps the shape."""

    def part(self, kind, *args, **kwargs):
        """A layer within this one, of the same dtype policy."""
        return kind(*args, dtype=self.dtype_policy, **kwargs)

    def compute_output_shape(self, input_shape):
        return input_shape


class Half(TokenizerLayer):
    """An encoder or a decoder of levels, between which the size halves."""

    def __init__(self, channels, channel_multipliers, num_res_blocks, **kwargs):
        super().__init__(**kwargs)
        check_positive(channels=channels, num_res_blocks=num_res_blocks)
        multipliers = as_integers(channel_multipliers=channel_multipliers)
        if not multipliers:
            raise refused(
                "have a positive integer for each level",
                channel_multipliers=multipliers,
            )
        self.channels = channels
        self.channel_multipliers = multipliers
        self.num_res_blocks = num_res_blocks

    @property
    def factor(self):
        """How many pixels on a side one code stands for."""
        return 2 ** (len(self.channel_multipliers) - 1)

    @property
    def widths(self):
        """The channels of each level, at full size first."""
        return [self.channels * value for value in self.channel_multipliers]


def shape_of_codes(shape, factor, channels):
    """The shape of what an encoder makes of maps (B, H, W, C)."""
    sizes = (None if n is None else n // factor for n in shape[1:3])
    return (shape[0], *sizes, channels)


def shape_of_images(shape, factor, channels):
    """The shape of what a decoder makes of maps (B, h, w, C)."""
    sizes = (None if n is None else n * factor for n in shape[1:3])
    return (shape[0], *sizes, channels)


def build_in_order(layers, input_shape):
    """Builds layers of which each takes what the one before it gives.

    Those that have their weights already, from a saved configuration or
    another model, keep them. The result is the shape of what the last gives.
    """
    for layer in layers:
        if not layer.built:
            layer.build(input_shape)
        input_shape = layer.compute_output_shape(input_shape)
    return input_shape


def replication_pad(x, before, after):
    """Repeats the border pixels of maps (B, H, W, C).

    `before` above and to the left, `after` below and to the right.
    """
    for axis in (1, 2):
        rest = (slice(None),) * axis
        first, last = x[rest + (slice(0, 1),)], x[rest + (slice(-1, None),)]
        parts = [first] * before + [x] + [last] * after
        x = ops.concatenate(parts, axis=axis)
    return x


def check_padding_mode(padding_mode, name="padding_mode"):
    """Raises a `ValueError` unless `padding_mode` is a known one."""
    check_choice(PADDING_MODES, **{name: padding_mode})


@keras.saving.register_keras_serializable(package=PACKAGE)
class PaddedConv2D(Conv2D):
    """A 2D convolution that keeps the size and says how borders are padded.

    With stride 1 the border is as wide on every side; with stride 2 and an
    even size the one odd row and column go below and to the right, as in
    the VQGAN encoder. Zeros show a convolution where the border is;
    replication does not, which matters for translation equivariance.

    `strides` is 1 or 2, `padding_mode` `"zero"` or `"replication"`.
    """

    def __init__(
        self, filters, kernel_size, strides=1, padding_mode="zero", **kwargs
    ):
        check_padding_mode(padding_mode)
        padding = "same" if padding_mode == "zero" else "valid"
        super().__init__(
            filters, kernel_size, strides=strides, padding=padding, **kwargs
        )
        self.padding_mode = padding_mode

    def call(self, inputs):
        if self.padding_mode == "replication":
            width = self.kernel_size[0] - self.strides[0]
            inputs = replication_pad(inputs, width // 2, width - width // 2)
        return super().call(inputs)

    def compute_output_shape(self, input_shape):
        sizes = (
            None if size is None else -(-size // self.strides[0])
            for size in input_shape[1:3]
        )
        return (input_shape[0], *sizes, self.filters)

    def get_config(self):
        config = super().get_config()
        del config["padding"]
        config["kernel_size"] = self.kernel_size[0]
        config["strides"] = self.strides[0]
        config["padding_mode"] = self.padding_mode
        return config


def group_norm(channels, **kwargs):
    """The normalization of the VQGAN family: 32 groups, epsilon 1e-6.

    Channels that 32 does not divide get the largest number of groups that
    divides both.
    """
    return keras.layers.GroupNormalization(
        groups=math.gcd(32, channels), epsilon=1e-6, **kwargs
    )


@keras.saving.register_keras_serializable(package=PACKAGE)
class ResidualBlock(TokenizerLayer):
    """Twice GroupNorm, swish and a 3x3 convolution, beside a shortcut.

    The shortcut is a 1x1 convolution where the number of channels changes.
    `use_bias` is whether convolutions have biases.
    """

    def __init__(
        self,
        channels,
        dropout=0.0,
        padding_mode="zero",
        use_bias=True,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.channels = channels
        self.dropout = dropout
        self.padding_mode = padding_mode
        self.use_bias = use_bias

    def build(self, input_shape):
        channels, bias = self.channels, {"use_bias": self.use_bias}
        mode = {"padding_mode": self.padding_mode, **bias}
        inner = (*input_shape[:-1], channels)
        self.norm1 = self.part(group_norm, input_shape[-1])
        self.conv1 = self.part(PaddedConv2D, channels, 3, **mode)
        self.norm2 = self.part(group_norm, channels)
        self.drop = self.part(Dropout, self.dropout)
        self.conv2 = self.part(PaddedConv2D, channels, 3, **mode)
        self.norm1.build(input_shape)
        self.conv1.build(input_shape)
        self.norm2.build(inner)
        self.conv2.build(inner)
        self.nin_shortcut = None
        if input_shape[-1] != channels:
            self.nin_shortcut = self.part(Conv2D, channels, 1, **bias)
            self.nin_shortcut.build(input_shape)

    def call(self, x, training=None):
        h = self.conv1(ops.silu(self.norm1(x)))
        h = self.drop(ops.silu(self.norm2(h)), training=training)
        h = self.conv2(h)
        if self.nin_shortcut is not None:
            x = self.nin_shortcut(x)
        return x + h

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.channels)


@keras.saving.register_keras_serializable(package=PACKAGE)
class SpatialAttention(TokenizerLayer):
    """Single-head self-attention between all places of a map (B, H, W, C)."""

    def build(self, input_shape):
        channels = input_shape[-1]
        self.norm = self.part(group_norm, channels)
        self.q, self.k, self.v, self.proj_out = (
            self.part(Conv2D, channels, 1) for _ in range(4)
        )
        for layer in (self.norm, self.q, self.k, self.v, self.proj_out):
            layer.build(input_shape)

    def call(self, x):
        shape = ops.shape(x)
        rows = (-1, shape[1] * shape[2], x.shape[-1])
        h = self.norm(x)
        q, k, v = (ops.reshape(f(h), rows) for f in (self.q, self.k, self.v))
        scores = ops.matmul(q, ops.transpose(k, (0, 2, 1)))  # (B, HW, HW)
        scores = ops.cast(scores, "float32") * x.shape[-1] ** -0.5
        weights = ops.cast(ops.softmax(scores, axis=-1), v.dtype)
        return x + self.proj_out(ops.reshape(ops.matmul(weights, v), shape))


@keras.saving.register_keras_serializable(package=PACKAGE)
class Upsample(TokenizerLayer):
    """Nearest-neighbor upsampling by 2, then a 3x3 convolution."""

    def __init__(self, padding_mode="zero", **kwargs):
        super().__init__(**kwargs)
        self.padding_mode = padding_mode

    def build(self, input_shape):
        mode = {"padding_mode": self.padding_mode}
        self.conv = self.part(PaddedConv2D, input_shape[-1], 3, **mode)
        self.conv.build(input_shape)

    def call(self, x):
        return self.conv(ops.repeat(ops.repeat(x, 2, axis=1), 2, axis=2))

    def compute_output_shape(self, input_shape):
        return shape_of_images(input_shape, 2, input_shape[-1])
