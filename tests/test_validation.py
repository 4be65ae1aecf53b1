"""Pictures as users have them, in one form."""

import numpy as np
import pytest

from keras_bidalle.validation import as_uint8_images

pytestmark = pytest.mark.any_backend


def test_pictures_in_either_form_become_uint8():
    pictures = np.arange(256, dtype="uint8").reshape(1, 16, 16, 1)
    assert np.array_equal(as_uint8_images(pictures), pictures)
    scaled = pictures.astype("float32") / 127.5 - 1.0
    assert np.array_equal(as_uint8_images(scaled), pictures)
    assert as_uint8_images(np.array([-7.0, 7.0])).tolist() == [0, 255]
