"""Structural similarity of reconstructions."""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_bidalle.metrics.psnr import PairedImages, paired_images
from keras_bidalle.validation import refused

# Wang et al., section III-C.
_WINDOW, _SIGMA = 11, 1.5
_K1, _K2 = 0.01, 0.03


def ssim(images: Any, reconstructions: Any) -> Any:
    """The structural similarity of each image.

    Means, variances and the covariance are weighed by an 11x11 Gaussian of
    deviation 1.5, each channel by itself, at every pixel of the image, which
    is mirrored beyond its edges: the values of torchmetrics. Programs that
    leave the edges out give figures that differ by about 0.01.

    Args:
        images: array (B, H, W, C), float in [-1, 1] or uint8 in [0, 255],
            sides of at least 11.
        reconstructions: array of the same shape and range.

    Returns:
        float32 tensor (B,) in [-1, 1]; 1 for equal images.

    Raises:
        ValueError, TypeError: as `psnr`, and when sides are too short.

    Reference:
        Wang et al., "Image Quality Assessment" (2004), Equation 13.
    """
    x, y, peak = paired_images(images, reconstructions)
    if min(x.shape[1:3]) < _WINDOW:
        raise refused(
            f"have sides of at least {_WINDOW}", "images", shape=tuple(x.shape)
        )
    # Centered: the variances are small differences of large squares.
    x, y = x / peak - _middle(peak), y / peak - _middle(peak)
    mean_x, mean_y = _blurred(x), _blurred(y)
    var_x = _blurred(x * x) - mean_x**2
    var_y = _blurred(y * y) - mean_y**2
    both = _blurred(x * y) - mean_x * mean_y
    # The means are those of images in [0, 1].
    mean_x, mean_y = mean_x + 0.5, mean_y + 0.5
    light = (2 * mean_x * mean_y + _K1**2) / (mean_x**2 + mean_y**2 + _K1**2)
    structure = (2 * both + _K2**2) / (var_x + var_y + _K2**2)
    return ops.mean(light * structure, axis=(1, 2, 3))


def _middle(peak: float) -> float:
    return 0.5 if peak == 255.0 else 0.0


def _blurred(x: Any) -> Any:
    """Weighed means around every pixel: (B, H, W, C)."""
    margin = _WINDOW // 2
    places = np.arange(-margin, margin + 1)
    weights = np.exp(-(places**2) / (2 * _SIGMA**2))
    weights /= weights.sum()
    for axis in (1, 2):
        size = x.shape[axis]
        mirrored = np.pad(np.arange(size), margin, mode="reflect")
        x = sum(
            float(weight) * ops.take(x, mirrored[i : i + size], axis=axis)
            for i, weight in enumerate(weights)
        )
    return x


@keras.saving.register_keras_serializable(package="keras_bidalle")
class SSIM(PairedImages):
    """The mean over images of `ssim`, as a Keras metric.

    Args:
        name: str, "ssim" if `None`.
        dtype: the metric's dtype.
    """

    measure = staticmethod(ssim)
