"""A part of a data set: some are trained on, others held out."""

import numbers

import numpy as np

from keras_bidalle.data.image_source import ImageSource, Record
from keras_bidalle.validation import refused


class SourcePart(ImageSource):
    """Some records of a source.

    Args:
        source: `ImageSource`.
        indices: int array, the records, in their order.
        description: str, what of the source they are.
    """

    def __init__(
        self, source: ImageSource, indices: np.ndarray, description: str
    ) -> None:
        self.source = source
        self.indices = np.asarray(indices)
        self.block_size = source.block_size
        self.description = f"{source.description}, {description}"

    def __len__(self):
        return len(self.indices)

    def name(self, index: int) -> str:
        return self.source.name(int(self.indices[index]))

    def read(self, index: int) -> Record:
        return self.source.read(int(self.indices[index]))


def hold_out(
    source: ImageSource, share: float, seed: int = 0
) -> tuple[SourcePart, SourcePart]:
    """Divides a source into what is trained on and what is held out.

    Args:
        source: `ImageSource` of at least two records.
        share: float in (0, 1), of the records that are held out: at least one
            is, and at least one is not.
        seed: int, which.

    Returns:
        Tuple of two `SourcePart`, to train on and held out.

    Raises:
        ValueError: if `share` is out of its range or there is one record.

    Example:

    ```python
    train, held_out = hold_out(ImageFolder("photos"), 0.05)
    ```
    """
    if not (isinstance(share, numbers.Real) and 0 < share < 1):
        raise refused("be a number between 0 and 1, both excluded", share=share)
    count = len(source)
    if count < 2:
        raise ValueError(
            "`source` must have at least 2 records to hold some out. "
            f"Received: {count}"
        )
    held = min(max(1, round(share * count)), count - 1)
    order = np.random.default_rng(seed).permutation(count)
    parts = {"held out": order[:held], "trained on": order[held:]}
    apart, train = (
        SourcePart(source, np.sort(part), f"{len(part)} {what} (seed {seed})")
        for what, part in parts.items()
    )
    return train, apart
