"""Images that are made up, with words: to try a configuration."""

import numpy as np

from keras_bidalle.data.image_source import ImageSource, Record
from keras_bidalle.validation import check_positive

COLORS = {
    "red": (220, 50, 47),
    "green": (60, 160, 60),
    "blue": (40, 90, 210),
    "yellow": (230, 200, 40),
}
SHAPES = {
    "square": lambda y, x: np.maximum(abs(y), abs(x)) < 0.9,
    "disc": lambda y, x: y * y + x * x < 1,
    "diamond": lambda y, x: abs(y) + abs(x) < 1,
}
PLACES = {
    "upper left": (0.3, 0.3),
    "upper right": (0.3, 0.7),
    "lower left": (0.7, 0.3),
    "lower right": (0.7, 0.7),
}


class FakeImages(ImageSource):
    """Colored shapes on a dark ground, each with two captions.

    Image i depends on the seed and i alone. What the captions say is to be
    seen, so a model can learn it.

    Args:
        num_images: int, how many there are.
        size: int, side of the images.
        seed: int.

    Example:

    ```python
    FakeImages(100, size=64).read(0).captions
    # ["a red disc on the upper left", "upper left : red disc"]
    ```
    """

    def __init__(
        self, num_images: int = 256, size: int = 64, seed: int = 0
    ) -> None:
        check_positive(num_images=num_images, size=size)
        self.num_images = num_images
        self.size = size
        self.seed = seed
        self.description = (
            f"{num_images} made-up pictures of {size}x{size}, seed {seed}"
        )

    def __len__(self):
        return self.num_images

    def name(self, index: int) -> str:
        return f"made-up image {index}"

    def read(self, index: int) -> Record:
        rng = np.random.default_rng((self.seed, index))
        color, shape, place = (
            list(table)[rng.integers(len(table))]
            for table in (COLORS, SHAPES, PLACES)
        )
        radius = rng.uniform(0.15, 0.22)
        row, column = PLACES[place] + rng.uniform(-0.06, 0.06, 2)
        at = (np.arange(self.size) + 0.5) / self.size
        inside = SHAPES[shape](
            (at[:, None] - row) / radius, (at[None] - column) / radius
        )
        ground = rng.integers(0, 60, 3)
        pixels = np.where(inside[..., None], COLORS[color], ground)
        captions = [
            f"a {color} {shape} on the {place}",
            f"{place} : {color} {shape}",
        ]
        return Record(pixels.astype("uint8"), captions)
