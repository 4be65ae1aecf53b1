"""Peak signal-to-noise ratio of reconstructions."""

import abc
from typing import Any

import keras
from keras import ops

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
        ValueError: when shapes differ or one is uint8 and the other not.
    """
    images, reconstructions, peak = paired_images(images, reconstructions)
    difference = images - reconstructions
    error = ops.mean(ops.square(difference), axis=(1, 2, 3))
    decibels = 10.0 / ops.log(ops.convert_to_tensor(10.0, "float32"))
    return decibels * ops.log(peak**2 / ops.maximum(error, FLOOR))


def paired_images(images: Any, reconstructions: Any) -> tuple[Any, Any, float]:
    """Both as float32 tensors, and the peak, 255 of uint8 or 2 of floats."""
    images = ops.convert_to_tensor(images)
    reconstructions = ops.convert_to_tensor(reconstructions)
    dtypes = [
        keras.backend.standardize_dtype(x.dtype)
        for x in (images, reconstructions)
    ]
    if (dtypes[0] == "uint8") != (dtypes[1] == "uint8"):
        raise ValueError(
            "`images` and `reconstructions` must both be uint8 in [0, 255] "
            f"or both floating in [-1, 1]. Received: {dtypes[0]} and "
            f"{dtypes[1]}"
        )
    sides = zip(images.shape[1:], reconstructions.shape[1:], strict=False)
    known = all(None in pair or pair[0] == pair[1] for pair in sides)
    if len(images.shape) != len(reconstructions.shape) or not known:
        raise ValueError(
            "`images` and `reconstructions` must have the same shape. "
            f"Received: {tuple(images.shape)} and "
            f"{tuple(reconstructions.shape)}"
        )
    peak = 255.0 if dtypes[0] == "uint8" else 2.0
    return (
        ops.cast(images, "float32"),
        ops.cast(reconstructions, "float32"),
        peak,
    )


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
