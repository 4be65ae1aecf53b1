"""Small stand-ins for the data sets: nothing here reads a real file."""

import numpy as np
import pytest

from keras_bidalle.tasks.mnist64 import Items


@pytest.fixture(scope="session")
def items():
    """Items whose every pixel is 1 + 20 * label + part (0 train, 10 test)."""
    arrays = []
    for part, count in ((0, 50), (10, 30)):
        labels = np.arange(count, dtype="int32") % 10
        values = (1 + 20 * labels + part).astype("uint8")
        images = np.tile(values[:, None, None], (1, 28, 28))
        arrays += [images, labels]
    return Items("mnist", "a test", *arrays)
