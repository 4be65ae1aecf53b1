"""The patch discriminator: judges overlapping patches, not whole images."""

from typing import Any

import keras
from keras import layers, ops

from keras_bidalle.arguments import Configured
from keras_bidalle.backend.convolution import Conv2D
from keras_bidalle.backend.keras_internals import pad
from keras_bidalle.losses.global_batch_normalization import (
    GlobalBatchNormalization,
)
from keras_bidalle.validation import check_positive


@keras.saving.register_keras_serializable(package="keras_bidalle")
class PatchDiscriminator(Configured, layers.Layer):
    """A convolutional network that gives one logit for each patch.

    `num_layers` 4x4 convolutions of stride 2, one of stride 1 and one of
    stride 1 to a single channel, each padded by one pixel on every side.
    Widths double up to eight times `filters`. Batch normalization, over
    all replicas, stands after every convolution but the first and the last;
    leaky ReLU (0.2) after every one but the last. Moving statistics go 0.1
    of the way to the batch's in each training call.

    Args:
        num_layers: int, how many convolutions halve the image; 3 gives
            receptive fields of 70x70 pixels.
        filters: int, channels of the first convolution.

    Call arguments:
        images: float tensor (B, H, W, C) in [-1, 1].
        training: bool, whether to normalize by the batch's statistics (and
            update the moving ones) instead of the moving statistics.

    Returns:
        Float tensor (B, h, w, 1) of logits, high for real patches.

    Raises:
        ValueError: when the image is too small for `num_layers`.

    Example:

    ```python
    logits = PatchDiscriminator(num_layers=3)(images)  # (B, 6, 6, 1) at 64x64
    ```

    Reference:
        Isola et al., "Image-to-Image Translation with Conditional
        Adversarial Networks" (2017), Section 2.2.2 and Appendix 6.1.2.
    """

    def __init__(
        self, num_layers: int = 3, filters: int = 64, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        check_positive(num_layers=num_layers, filters=filters)
        self.num_layers = num_layers
        self.filters = filters

        widths = [filters * min(2**i, 8) for i in range(num_layers + 1)]
        strides = [2] * num_layers + [1]
        self.convolutions = [
            self._convolution(width, stride, use_bias=i == 0, name=f"conv_{i}")
            for i, (width, stride) in enumerate(
                zip(widths, strides, strict=True)
            )
        ]
        self.norms = [
            GlobalBatchNormalization(
                momentum=0.9,
                epsilon=1e-5,
                gamma_initializer=keras.initializers.RandomNormal(1.0, 0.02),
                dtype=self.dtype_policy,
                name=f"norm_{i}",
            )
            for i in range(1, num_layers + 1)
        ]
        self.logits = self._convolution(1, 1, use_bias=True, name="logits")

    def _convolution(self, width, stride, use_bias, name):
        return Conv2D(
            width,
            4,
            strides=stride,
            padding="valid",
            use_bias=use_bias,
            kernel_initializer=keras.initializers.RandomNormal(0.0, 0.02),
            dtype=self.dtype_policy,
            name=name,
        )

    def build(self, input_shape: Any) -> Any:
        output = self.compute_output_shape(input_shape)
        if any(side is not None and side < 1 for side in output[1:3]):
            raise ValueError(
                f"`num_layers` must leave at least one patch of a picture of "
                f"shape {tuple(input_shape[1:])}. "
                f"Received: num_layers={self.num_layers}"
            )
        shape = tuple(input_shape)
        for i, convolution in enumerate(self.convolutions):
            convolution.build(_padded(shape))
            shape = convolution.compute_output_shape(_padded(shape))
            if i:
                self.norms[i - 1].build(shape)
        self.logits.build(_padded(shape))

    def call(self, images: Any, training: bool | None = None) -> Any:
        x = images
        for i, convolution in enumerate(self.convolutions):
            x = convolution(_pad(x))  # (B, h, w, filters * min(2**i, 8))
            if i:
                x = self.norms[i - 1](x, training=training)
            x = ops.leaky_relu(x, 0.2)
        return self.logits(_pad(x))  # (B, h, w, 1)

    def compute_output_shape(self, input_shape: Any) -> Any:
        def sides(stride):
            return tuple(
                None if side is None else (side - 2) // stride + 1
                for side in shape[1:3]
            )

        shape = tuple(input_shape)
        for stride in [2] * self.num_layers + [1, 1]:
            shape = (shape[0], *sides(stride), 1)
        return shape


def _pad(x):
    return pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]])


def _padded(shape):
    sides = (None if side is None else side + 2 for side in shape[1:3])
    return (shape[0], *sides, shape[3])
