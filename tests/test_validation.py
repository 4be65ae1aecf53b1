"""Pictures as users have them, in one form."""

import numpy as np
import pytest

from keras_bidalle.validation import as_uint8_images, check_part_counts

pytestmark = pytest.mark.any_backend


def test_pictures_in_either_form_become_uint8():
    pictures = np.arange(256, dtype="uint8").reshape(1, 16, 16, 1)
    assert np.array_equal(as_uint8_images(pictures), pictures)
    scaled = pictures.astype("float32") / 127.5 - 1.0
    assert np.array_equal(as_uint8_images(scaled), pictures)
    assert as_uint8_images(np.array([-7.0, 7.0])).tolist() == [0, 255]


def test_no_configuration_has_more_parts_than_arrays():
    config = {"ddconfig": {"num_res_blocks": 2}, "body": [{"n_layer": 300}]}
    check_part_counts(config, 300)
    with pytest.raises(ValueError, match="'n_layer' is 300; its weights are 8"):
        check_part_counts(config, 8)
    # A name that only looks like one, and a number that is none.
    check_part_counts({"depth": "1000", "num_codes": 10**9}, 8)
