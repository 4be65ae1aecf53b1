"""The pictures that a model is measured on, cut to its size."""

import collections
from typing import Any

import numpy as np

from keras_bidalle import data

Rows = collections.namedtuple("Rows", ["indices", "images", "captions"])
Rows.__doc__ = """Some of the pictures.

Attributes:
    indices: int64 array (B,), their places among all examples.
    images: uint8 array (B, H, W, C).
    captions: list of B lists of str.
"""

# Luminance of ITU-R 601, as Pillow converts to gray.
_LUMINANCE = np.asarray([0.299, 0.587, 0.114])


class Examples:
    """Pictures of a source: the first of them, or a drawn part.

    Args:
        source: `keras_bidalle.data.ImageSource`.
        image_shape: tuple (H, W, C) that the model takes; C is 1 or 3.
        count: int, how many are drawn without replacement; `None` for all.
        seed: int.

    Attributes:
        skipped: dict from the name of what could not be read to the reason.
    """

    def __init__(
        self,
        source: data.ImageSource,
        image_shape: tuple[int, ...],
        count: int | None = None,
        seed: int = 0,
    ) -> None:
        self.source = source
        total = len(source)
        self._places = np.arange(total)
        if count is not None and count < total:
            drawn = np.random.default_rng(seed).permutation(total)[:count]
            self._places = np.sort(drawn)
        self._gray = image_shape[2] == 1
        crop = data.CenterCrop((image_shape[0], image_shape[1]))
        self._reader = data.ImageReader(source, crop)

    def __len__(self) -> int:
        return len(self._places)

    @property
    def skipped(self) -> dict[str, str]:
        return self._reader.skipped

    def read(self, indices: Any) -> Rows:
        """Reads examples; those that cannot be read are left out.

        Args:
            indices: iterable of int in [0, `len(examples)`).

        Returns:
            `Rows`.
        """
        found, images, captions = [], [], []
        for index in indices:
            place = int(self._places[index])
            row = self._reader.read(place)
            if row is None:
                continue
            found.append(index)
            images.append(row[0])
            captions.append(list(self.source.read(place).captions))
        pixels = np.stack(images) if images else np.zeros((0, 1, 1, 3), "uint8")
        if self._gray:
            pixels = np.rint(pixels @ _LUMINANCE).astype("uint8")[..., None]
        return Rows(np.asarray(found, "int64"), pixels, captions)
