import keras
import numpy as np
import pytest

from keras_bidalle.metrics import LPIPS, SSIM, ssim


def numpy(x):
    return keras.ops.convert_to_numpy(x)


def test_equal_pictures_are_wholly_similar_in_either_range():
    rng = np.random.default_rng(0)
    one, two = rng.integers(256, size=(2, 2, 16, 20, 3), dtype="uint8")
    np.testing.assert_allclose(numpy(ssim(one, one)), 1.0, atol=1e-6)
    floats = [x.astype("float32") / 127.5 - 1.0 for x in (one, two)]
    np.testing.assert_allclose(
        numpy(ssim(one, two)), numpy(ssim(*floats)), atol=1e-5
    )


def test_flat_pictures_differ_in_their_light_alone():
    dark, light = np.full((1, 12, 12, 1), 51), np.full((1, 12, 12, 1), 204)
    found = ssim(dark.astype("uint8"), light.astype("uint8"))
    constant = 0.01**2
    expected = (2 * 0.2 * 0.8 + constant) / (0.2**2 + 0.8**2 + constant)
    np.testing.assert_allclose(numpy(found), expected, rtol=1e-3)


def test_the_metric_is_the_mean_over_pictures():
    rng = np.random.default_rng(0)
    one, two = rng.integers(256, size=(2, 3, 12, 12, 3), dtype="uint8")
    metric = SSIM()
    metric.update_state(one[:2], two[:2])
    metric.update_state(one[2:], two[2:])
    np.testing.assert_allclose(
        float(metric.result()), numpy(ssim(one, two)).mean(), rtol=1e-5
    )


def test_pictures_smaller_than_the_window_are_refused():
    small = np.zeros((1, 10, 12, 3), "uint8")
    with pytest.raises(ValueError, match="at least 11"):
        ssim(small, small)


def test_lpips_says_what_it_needs():
    with pytest.raises(ValueError, match="convert_lpips"):
        LPIPS()
