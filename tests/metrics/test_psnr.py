import keras
import numpy as np
import pytest

from keras_bidalle.metrics import PSNR, psnr, ssim


def numpy(x):
    return keras.ops.convert_to_numpy(x)


def test_floats_have_a_peak_of_two():
    rng = np.random.default_rng(0)
    one, two = rng.uniform(-1, 1, (2, 3, 8, 8, 3)).astype("float32")
    error = ((one.astype("float64") - two) ** 2).mean(axis=(1, 2, 3))
    np.testing.assert_allclose(
        numpy(psnr(one, two)), 10 * np.log10(4 / error), rtol=1e-5
    )


def test_uint8_has_a_peak_of_255_and_does_not_wrap_around():
    rng = np.random.default_rng(0)
    one, two = rng.integers(256, size=(2, 3, 8, 8, 3), dtype="uint8")
    error = ((one.astype("float64") - two) ** 2).mean(axis=(1, 2, 3))
    np.testing.assert_allclose(
        numpy(psnr(one, two)), 10 * np.log10(255**2 / error), rtol=1e-5
    )


def test_both_ranges_agree_on_the_same_pictures():
    rng = np.random.default_rng(0)
    one, two = rng.integers(256, size=(2, 3, 8, 8, 3), dtype="uint8")
    floats = [x.astype("float32") / 127.5 - 1.0 for x in (one, two)]
    np.testing.assert_allclose(
        numpy(psnr(one, two)), numpy(psnr(*floats)), rtol=1e-4
    )


def test_equal_pictures_give_a_finite_figure():
    image = np.zeros((1, 4, 4, 3), "float32")
    np.testing.assert_allclose(numpy(psnr(image, image)), 106.02, rtol=1e-3)


def test_the_metric_is_the_mean_over_pictures_not_over_batches():
    rng = np.random.default_rng(0)
    one, two = rng.uniform(-1, 1, (2, 5, 8, 8, 3)).astype("float32")
    metric = PSNR()
    metric.update_state(one[:4], two[:4])
    metric.update_state(one[4:], two[4:])
    np.testing.assert_allclose(
        float(metric.result()), numpy(psnr(one, two)).mean(), rtol=1e-5
    )
    again = keras.saving.deserialize_keras_object(
        keras.saving.serialize_keras_object(metric)
    )
    assert again.name == "psnr"


def test_ranges_and_shapes_must_match():
    floats = np.zeros((1, 4, 4, 3), "float32")
    with pytest.raises(ValueError, match="both be uint8"):
        psnr(floats, floats.astype("uint8"))
    with pytest.raises(ValueError, match="same shape"):
        psnr(floats, np.zeros((1, 4, 4, 1), "float32"))


@pytest.mark.parametrize("measure", [psnr, ssim])
def test_what_would_give_a_wrong_figure_is_refused(measure):
    rng = np.random.default_rng(0)
    images = rng.integers(256, size=(4, 16, 16, 3), dtype="uint8")
    floats = images.astype("float32") / 127.5 - 1.0
    for dtype in ("int32", "int64", "bool"):
        with pytest.raises(TypeError, match="`images` must be uint8"):
            measure(images.astype(dtype), images.astype(dtype))
    for large in (images.astype("float32"), floats * np.nan):
        with pytest.raises(ValueError, match=r"`images` must be finite"):
            measure(large, large)
        with pytest.raises(ValueError, match=r"`reconstructions` must be fin"):
            measure(floats, large)
    for one, two in ((images, images[:1]), (images[:1], images)):
        with pytest.raises(ValueError, match="same shape"):
            measure(one, two)
    with pytest.raises(ValueError, match="`images` must be a batch"):
        measure(images[0], images[0])
    assert numpy(measure(images[:0], images[:0])).shape == (0,)
