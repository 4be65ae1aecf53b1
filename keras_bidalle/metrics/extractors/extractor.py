"""What makes features of images: a network, its weights, its preprocessing."""

import collections
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from keras_bidalle.backend.compiled import compiled, in_batches
from keras_bidalle.metrics.extractors.resizing import check_resize, resized

Features = collections.namedtuple("Features", ["features", "probabilities"])
Features.__doc__ = """What an extractor makes of images.

Attributes:
    features: float32 NumPy array (B, D).
    probabilities: float32 NumPy array (B, classes), `None` where the network
        is no classifier.
"""


class Extractor:
    """Makes features of uint8 images, always in the same way.

    A figure bears the name of the extractor that it was made with, as in
    `frechet_efficientnet_lite0`.

    Args:
        name: str, the network's.
        function: from a float32 tensor (B, size, size, 3) to one of (B, D +
            classes): features, then the logits of classes, if any.
        layers: list of Keras layers and models that hold its weights.
        dimensions: int, D.
        size: int or pair, height and width that the network takes; `None`
            for images as they are.
        resize: str, a rule of `resized`.
        offset, divisor: float; a pixel p is given as (p - offset) / divisor.
        classes: int, logits behind the features.
        weights: str, where the weights are from, for people.
        frechet_name: str, what a Frechet distance of these
            features is called; by default `frechet_` and the name.

    Raises:
        ValueError: on an unknown rule.

    Example:

    ```python
    extractor = Extractor(
        "mine", network, [network], dimensions=128, size=64, resize="clean",
        offset=127.5, divisor=127.5,
    )
    extractor(images).features  # (B, 128)
    ```
    """

    def __init__(
        self,
        name: str,
        function: Callable[[Any], Any],
        layers: Sequence[Any],
        dimensions: int,
        size: int | tuple[int, int] | None,
        resize: str = "torch",
        offset: float = 127.5,
        divisor: float = 127.5,
        classes: int = 0,
        weights: str = "",
        frechet_name: str | None = None,
    ) -> None:
        check_resize(resize)
        self.name = name
        self.dimensions = dimensions
        self.classes = classes
        self.size = size
        self.resize = resize
        self.offset = offset
        self.divisor = divisor
        self.weights = weights
        self.frechet_name = frechet_name or f"frechet_{name}"
        self._run = compiled(function, list(layers))

    def __call__(self, images: Any, batch_size: int = 32) -> Features:
        """Makes features.

        Args:
            images: uint8 array (B, H, W, 1 or 3); of one channel, it is
                repeated.
            batch_size: int, how many are processed at once.

        Returns:
            `Features`.

        Raises:
            TypeError: unless the images are uint8.
        """
        images = np.asarray(images)
        if images.ndim == 4 and images.shape[-1] == 1:
            images = images.repeat(3, axis=-1)

        def prepared(part: np.ndarray) -> np.ndarray:
            size = part.shape[1:3] if self.size is None else self.size
            pixels = resized(part, size, self.resize)
            return (pixels - np.float32(self.offset)) / np.float32(self.divisor)

        found = in_batches(
            self._run,
            images,
            batch_size,
            prepared,
            np.zeros((0, self.dimensions + self.classes), "float32"),
        )
        features, logits = np.split(found, [self.dimensions], axis=1)
        return Features(features, _softmax(logits) if self.classes else None)

    def describe(self) -> dict[str, Any]:
        """What a figure made with it must tell: JSON values."""
        return {
            "name": self.name,
            "weights": self.weights,
            "size": self.size,
            "resize": self.resize,
            "preprocessing": f"(pixel - {self.offset:g}) / {self.divisor:g}",
            "dimensions": self.dimensions,
        }


def _softmax(logits: np.ndarray) -> np.ndarray:
    largest = logits.max(axis=1, keepdims=True, initial=-np.inf)
    powers = np.exp(logits - largest)
    return powers / powers.sum(axis=1, keepdims=True)
