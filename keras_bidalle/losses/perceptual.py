"""LPIPS: distance between images in the features of a trained network."""

import os
import pathlib
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_bidalle.arguments import Configured

# Convolutions of VGG16 (Simonyan and Zisserman 2015, Table 1, column D), by
# block; a 2x2 max pooling stands before every block but the first.
VGG16_BLOCKS = (
    ("conv1_1", "conv1_2"),
    ("conv2_1", "conv2_2"),
    ("conv3_1", "conv3_2", "conv3_3"),
    ("conv4_1", "conv4_2", "conv4_3"),
    ("conv5_1", "conv5_2", "conv5_3"),
)
VGG16_WIDTHS = (64, 128, 256, 512, 512)

# The published program's scaling layer: ImageNet's mean and deviation,
# carried from [0, 1] over to images in [-1, 1].
_SHIFT = (-0.030, -0.088, -0.188)
_SCALE = (0.458, 0.448, 0.450)


def lpips_shapes():
    """Returns a dict from array name to shape: what a weights file holds."""
    shapes, channels = {}, 3
    for number, (names, width) in enumerate(
        zip(VGG16_BLOCKS, VGG16_WIDTHS, strict=True), start=1
    ):
        for name in names:
            shapes[f"{name}/kernel"] = (3, 3, channels, width)
            shapes[f"{name}/bias"] = (width,)
            channels = width
        shapes[f"linear{number}/kernel"] = (width,)
    return shapes


class MissingWeightsError(ValueError, FileNotFoundError):
    """There is no file where weights are said to be."""


@keras.saving.register_keras_serializable(package="keras_bidalle")
class LPIPS(Configured, keras.layers.Layer):
    """Learned perceptual image patch similarity, on VGG16 features.

    Images go through VGG16 up to the last convolution of each block. The
    features are scaled to unit length at each position, their squared
    differences are weighed by channel, averaged over positions and summed
    over the five blocks.

    The weights are fixed, come from a file and are not written again into
    checkpoints of a model that trains with them.

    Args:
        weights: str or path of an `.npz` file as
            `keras_bidalle.converters.convert_lpips` writes it from the
            published torch files.

    Call arguments:
        real: float tensor (B, H, W, 3), RGB in [-1, 1], sides of at least
            16 pixels.
        fake: float tensor of the same shape.

    Returns:
        Float32 tensor (B,) of distances, zero for equal images.

    Raises:
        ValueError: without `weights`, or when the file does not hold them.

    Example:

    ```python
    tokenizer.compile(optimizer="adam", perceptual=LPIPS("lpips-vgg16.npz"))
    ```

    Reference:
        Zhang et al., "The Unreasonable Effectiveness of Deep Features as a
        Perceptual Metric" (2018), Equation 1.
    """

    # `weights` are what Keras calls a layer's variables.
    kept_as = {"weights": "weights_path"}

    def __init__(
        self, weights: str | os.PathLike[str] | None = None, **kwargs: Any
    ) -> None:
        kwargs["trainable"] = False
        super().__init__(**kwargs)
        if weights is None:
            raise ValueError(
                "`weights` must name an .npz file with the VGG16 and linear "
                "weights of LPIPS, made by "
                "`keras_bidalle.converters.convert_lpips`. Without it there "
                "is no LPIPS: train without a perceptual loss instead. "
                "Received: weights=None"
            )
        self.weights_path = str(weights)
        arrays = _read_arrays(pathlib.Path(weights))
        self._parameters = {}
        for name, shape in lpips_shapes().items():
            variable = self.add_weight(
                shape=shape, trainable=False, name=name.replace("/", "_")
            )
            variable.assign(arrays[name])
            self._parameters[name] = variable

    def build(self, real_shape: Any) -> Any:
        if real_shape[-1] != 3:
            raise ValueError(
                "LPIPS compares RGB pictures (B, H, W, 3). "
                f"Received: shape={tuple(real_shape)}"
            )

    def call(self, real: Any, fake: Any) -> Any:
        # Differences of unit-length features need float32.
        distances = 0.0
        for number, (a, b) in enumerate(
            zip(self._features(real), self._features(fake), strict=True),
            start=1,
        ):
            weight = ops.cast(
                self._parameters[f"linear{number}/kernel"], "float32"
            )
            difference = ops.square(_unit_length(a) - _unit_length(b))
            distances += ops.mean(ops.sum(difference * weight, -1), (1, 2))
        return distances

    def _features(self, images):
        """Yields the last activation of each block."""
        x = (images - ops.cast(_SHIFT, images.dtype)) / ops.cast(
            _SCALE, images.dtype
        )
        for block, names in enumerate(VGG16_BLOCKS):
            if block:
                x = ops.max_pool(x, 2, 2, data_format="channels_last")
            for name in names:
                x = ops.conv(
                    x,
                    ops.convert_to_tensor(self._parameters[f"{name}/kernel"]),
                    padding="same",
                    data_format="channels_last",
                )
                x = ops.relu(
                    x + ops.convert_to_tensor(self._parameters[f"{name}/bias"])
                )
            yield x

    def compute_output_shape(
        self, real_shape: Any, fake_shape: Any = None
    ) -> Any:
        return (real_shape[0],)

    def save_own_variables(self, store: Any) -> Any:
        """Writes nothing: the weights live in the file `weights`."""

    def load_own_variables(self, store: Any) -> Any:
        """Reads nothing: the weights were read from the file `weights`."""


def _unit_length(x):
    x = ops.cast(x, "float32")
    # The floor keeps the root's slope finite where all features are zero.
    squared = ops.maximum(ops.sum(ops.square(x), -1, keepdims=True), 1e-20)
    return x / (ops.sqrt(squared) + 1e-10)


def _read_arrays(path):
    if not path.is_file():
        raise MissingWeightsError(
            f"`weights` must name an .npz file. Received: weights={path}, "
            "which is not a file"
        )
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except Exception as error:
        raise ValueError(
            f"`weights` must name an .npz file. Received: weights={path}, "
            f"which cannot be read ({error})"
        ) from error
    for name, shape in lpips_shapes().items():
        found = arrays[name].shape if name in arrays else "nothing"
        if found != shape:
            raise ValueError(
                f"`weights` must hold an array {name!r} of shape {shape}. "
                f"Received: weights={path}, which holds {found}"
            )
    return arrays
