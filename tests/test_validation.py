"""Pictures as users have them, in one form."""

import numpy as np
import pytest

from keras_bidalle.validation import (
    as_integers,
    as_uint8_images,
    check_at_least,
    check_count,
    check_flag,
    check_part_counts,
)

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


def test_numbers_of_numpy_are_numbers():
    check_at_least(weight=np.float32(0.25))
    check_at_least(1, weight=np.int64(1))
    check_at_least(weight=10**400)
    check_count(count=np.int32(0))
    check_flag(flag=np.bool_(False))
    for sizes in ([8, 6], (8, 6), np.array([8, 6]), (np.int64(8), 6)):
        assert as_integers(sizes=sizes) == (8, 6)


@pytest.mark.parametrize("value", [True, np.inf, np.nan, "1", None, -1, 1j])
def test_what_is_no_weight_is_told(value):
    with pytest.raises(ValueError, match="`weight` must be a number of at"):
        check_at_least(weight=value)


@pytest.mark.parametrize("value", [True, 0.5, 1.0, "1", None, -1])
def test_what_is_no_count_is_told(value):
    with pytest.raises(ValueError, match="`count` must be an integer"):
        check_count(count=value)


@pytest.mark.parametrize("value", ["no", 1, None])
def test_what_is_no_flag_is_told(value):
    with pytest.raises(ValueError, match="`flag` must be True or False"):
        check_flag(flag=value)


@pytest.mark.parametrize(
    "value", ["16", 16, np.array(16), (16.0,), (True,), (0,), None, {16: 1}]
)
def test_what_are_no_integers_is_told(value):
    with pytest.raises(ValueError, match="`sizes` must be a sequence of int"):
        as_integers(sizes=value)
