"""Files of small images, and the pixels in such files."""

import io

import numpy as np
from PIL import Image


def pixels(files):
    return np.stack([np.asarray(Image.open(io.BytesIO(f))) for f in files])


def files(count, kind="PNG"):
    rng = np.random.default_rng(0)
    saved = []
    for i in range(count):
        coarse = rng.integers(0, 256, (4, 4, 3)).astype("uint8")
        image = Image.fromarray(coarse).resize((20 + 7 * i, 31), 0)
        file = io.BytesIO()
        image.save(file, kind)
        saved.append(file.getvalue())
    return saved
