"""Emoji as another vendor might have drawn them: moved, resized, recolored."""

import numpy as np
from PIL import Image

# What a name says stays: nothing is mirrored or turned, and hues are kept.
SIZES = (0.8, 1.1)
MOVED = 0.06  # of the side
GAMMAS = (0.85, 1.2)
SATURATIONS = (0.6, 1.4)
_WHITE = (255, 255, 255)
_GRAY = np.array([0.299, 0.587, 0.114], "float32")


def altered(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One picture in another size, place, brightness and saturation.

    Args:
        image: uint8 array (H, W, 3) of an emoji on white.
        rng: what is drawn from.

    Returns:
        uint8 array (H, W, 3).
    """
    height, width = image.shape[:2]
    scale = 1.0 / rng.uniform(*SIZES)
    x, y = rng.uniform(-MOVED, MOVED, 2)
    # From a place of the result to that of the picture: about the center.
    left = width * (0.5 - 0.5 * scale + x)
    top = height * (0.5 - 0.5 * scale + y)
    moved = Image.fromarray(image).transform(
        (width, height),
        Image.Transform.AFFINE,
        (scale, 0.0, left, 0.0, scale, top),
        Image.Resampling.BICUBIC,
        fillcolor=_WHITE,
    )
    light = (np.asarray(moved, "float32") / 255.0) ** rng.uniform(*GAMMAS)
    gray = (light @ _GRAY)[..., None]
    colored = gray + rng.uniform(*SATURATIONS) * (light - gray)
    return np.rint(colored.clip(0.0, 1.0) * 255.0).astype("uint8")
