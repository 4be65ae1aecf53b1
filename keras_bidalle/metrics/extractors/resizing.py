"""How images are scaled to a network's size: three rules, not one.

The rule moves a Frechet distance by more than most differences between
models do, so every figure tells it.
"""

import functools
import math
from collections.abc import Callable

import numpy as np

from keras_bidalle.validation import check_choice


def _tf1(places: np.ndarray, scale: float, size: int) -> np.ndarray:
    """Bilinear between pixel corners, as TensorFlow 1 did by default."""
    return _linear(np.minimum(places * scale, size - 1), size)


def _torch(places: np.ndarray, scale: float, size: int) -> np.ndarray:
    """Bilinear between pixel centers, not smoothed before."""
    source = np.clip((places + 0.5) * scale - 0.5, 0, size - 1)
    return _linear(source, size)


def _linear(source: np.ndarray, size: int) -> np.ndarray:
    # float32, as the programs that define these rules compute places.
    source = source.astype("float32").astype("float64")
    low = np.floor(source).astype(int)
    weights = np.zeros((len(source), size))
    rows = np.arange(len(source))
    weights[rows, low] += 1.0 - (source - low)
    weights[rows, np.minimum(low + 1, size - 1)] += source - low
    return weights


def _clean(places: np.ndarray, scale: float, size: int) -> np.ndarray:
    """Bicubic, the filter as wide as what a new pixel covers (Pillow)."""
    stretch = max(scale, 1.0)
    centers = (places + 0.5) * scale
    weights = np.zeros((len(places), size))
    for row, center in enumerate(centers):
        first = max(int(center - 2.0 * stretch + 0.5), 0)
        last = min(int(center + 2.0 * stretch + 0.5), size)
        taps = np.arange(first, last)
        values = _cubic((taps - center + 0.5) / stretch)
        weights[row, first:last] = values / values.sum()
    return weights


def _cubic(x: np.ndarray) -> np.ndarray:
    """Keys' cubic with a = -0.5."""
    x = np.abs(x)
    near = (1.5 * x - 2.5) * x * x + 1.0
    far = ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0
    return np.where(x < 1, near, np.where(x < 2, far, 0.0))


RESIZES: dict[str, Callable[[np.ndarray, float, int], np.ndarray]] = {
    "tf1": _tf1,
    "torch": _torch,
    "clean": _clean,
}


@functools.lru_cache(maxsize=16)
def _weights(rule: str, size: int, new_size: int) -> np.ndarray:
    places = np.arange(new_size, dtype="float64")
    weights = RESIZES[rule](places, size / new_size, size)
    return weights.astype("float32")


def resized(
    images: np.ndarray, size: int | tuple[int, int], rule: str = "tf1"
) -> np.ndarray:
    """Scales images by one of the rules that figures are made with.

    Args:
        images: uint8 array (B, H, W, C).
        size: int, or (height, width) of the result.
        rule: str. "tf1": bilinear without half-pixel centers or smoothing,
            as the program that defined FID; "torch": bilinear with
            half-pixel centers, not smoothed, as pytorch-fid; "clean":
            Pillow's bicubic, smoothed, clipped to [0, 255], as clean-fid.

    Returns:
        float32 array (B, height, width, C) in [0, 255], not rounded.

    Raises:
        ValueError: for another rule.
        TypeError: unless the images are uint8.

    Reference:
        Parmar et al., arXiv 2104.11222, section 3.
    """
    check_resize(rule)
    images = np.asarray(images)
    if images.dtype != np.uint8 or images.ndim != 4:
        raise TypeError(
            "`images` must be uint8 of shape (batch, H, W, channels). "
            f"Received: dtype={images.dtype}, shape={images.shape}"
        )
    height, width = (size, size) if isinstance(size, int) else size
    x = images.astype("float32")
    if x.shape[1:3] != (height, width) and math.prod(x.shape):
        down = _weights(rule, x.shape[1], height)
        across = _weights(rule, x.shape[2], width)
        # (h, H) . (B, H, W C), then (B, h, W, C) with (w, W).
        x = down @ x.reshape(*x.shape[:2], -1)
        x = x.reshape(len(images), height, *images.shape[2:])
        x = across @ x
    return np.clip(x, 0.0, 255.0) if rule == "clean" else x


def check_resize(rule: str) -> None:
    """Raises a `ValueError` unless `rule` is known."""
    check_choice(RESIZES, resize=rule)
