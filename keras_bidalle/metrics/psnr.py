"""Peak signal-to-noise ratio of reconstructions."""

import abc
from typing import Any

import keras
from keras import ops

from keras_bidalle.backend.current import has_value
from keras_bidalle.validation import (
    check_image_dtype,
    check_image_range,
    refused,
)

# A mean square below this counts as this: equal images get a figure that
# can be averaged and written to JSON (106 dB at a peak of 2).
FLOOR = 1e-10


def psnr(images: Any, reconstructions: Any) -> Any:
    """The peak signal-to-noise ratio of each image, in decibels.

    Args:
        images: array (B, H, W, C), float in [-1, 1] (the peak is 2) or uint8
            in [0, 255] (the peak is 255).
        reconstructions: array of the same shape and range.

    Returns:
        float32 tensor (B,): 10 log10(peak^2 / mean squared error), the mean
        over an image's pixels and channels. Equal images give 10
        log10(peak^2 / 1e-10).

    Raises:
        ValueError: when they are not batches of one shape, one is uint8 and
            the other not, or floats are not finite or out of [-1, 1] (while
            a program is traced they have no values to check).
        TypeError: on a dtype that is neither uint8 nor floating.
    """
    return decibels(*paired_images(images, reconstructions))


def decibels(images: Any, reconstructions: Any, peak: float) -> Any:
    """`psnr` of float32 tensors of a known peak, without any check."""
    difference = images - reconstructions
    error = ops.mean(ops.square(difference), axis=(1, 2, 3))
    scale = 10.0 / ops.log(ops.convert_to_tensor(10.0, "float32"))
    return scale * ops.log(peak**2 / ops.maximum(error, FLOOR))


def paired_images(images: Any, reconstructions: Any) -> tuple[Any, Any, float]:
    """Both as float32 tensors, and the peak, 255 of uint8 or 2 of floats.

    Raises:
        ValueError, TypeError: as `psnr`.
    """
    named = {"images": images, "reconstructions": reconstructions}
    pair = {name: ops.convert_to_tensor(x) for name, x in named.items()}
    dtypes = [check_image_dtype(x.dtype, name) for name, x in pair.items()]
    if (dtypes[0] == "uint8") != (dtypes[1] == "uint8"):
        raise ValueError(
            "`images` and `reconstructions` must both be uint8 in [0, 255] "
            f"or both floating in [-1, 1]. Received: {dtypes[0]} and "
            f"{dtypes[1]}"
        )
    shapes = [tuple(x.shape) for x in pair.values()]
    for name, shape in zip(pair, shapes, strict=True):
        if len(shape) != 4:
            raise refused(
                "be a batch of images (B, H, W, C); one alone is images[None]",
                name,
                shape=shape,
            )
    # A side may be unknown while a program is traced.
    sides = zip(*shapes, strict=True)
    if not all(None in both or both[0] == both[1] for both in sides):
        raise ValueError(
            "`images` and `reconstructions` must have the same shape. "
            f"Received: {shapes[0]} and {shapes[1]}"
        )
    if dtypes[0] != "uint8":
        for name, x in pair.items():
            if has_value(x) and 0 not in x.shape:
                check_image_range(float(ops.min(x)), float(ops.max(x)), name)
    peak = 255.0 if dtypes[0] == "uint8" else 2.0
    x, y = (ops.cast(one, "float32") for one in pair.values())
    return x, y, peak


class PairedImages(keras.metrics.Mean):
    """Base of the means over images of what pairs of them give."""

    @staticmethod
    @abc.abstractmethod
    def measure(images: Any, reconstructions: Any) -> Any:
        """A figure of each pair: (B,)."""

    def __init__(self, name: str | None = None, dtype: Any = None) -> None:
        name = name or type(self).__name__.lower()
        super().__init__(name=name, dtype=dtype)

    def update_state(
        self, y_true: Any, y_pred: Any, sample_weight: Any = None
    ) -> Any:
        values = type(self).measure(y_true, y_pred)
        super().update_state(values, sample_weight)


@keras.saving.register_keras_serializable(package="keras_bidalle")
class PSNR(PairedImages):
    """The mean over images of `psnr`, as a Keras metric.

    Args:
        name: str, "psnr" if `None`.
        dtype: the metric's dtype.

    Example:

    ```python
    metric = PSNR()
    metric.update_state(images, tokenizer.reconstruct(images))
    metric.result()  # about 26
    ```
    """

    measure = staticmethod(psnr)
