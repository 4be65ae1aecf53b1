"""The nearest training picture."""

import numpy as np
import pytest

from keras_bidalle.tasks.emoji.nearest import NearestPictures

pytestmark = pytest.mark.any_backend


def test_the_nearest_picture_and_its_distance_are_found():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (20, 8, 8, 3), dtype="uint8")
    nearest = NearestPictures(images)
    moved = images[[7, 3]].astype("int32")
    moved[1] += np.where(moved[1] < 128, 51, -51)
    found, distances = nearest(moved.astype("uint8"), chunk=1)
    assert found.tolist() == [7, 3]
    assert distances == pytest.approx([0.0, 0.2])
