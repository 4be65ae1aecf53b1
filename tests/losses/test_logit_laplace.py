"""The logit-Laplace likelihood against the equation in plain NumPy."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_bidalle.losses import LogitLaplace, map_pixels, unmap_pixels


def to_numpy(x):
    return np.asarray(ops.convert_to_numpy(x))


def example(seed=0):
    rng = np.random.default_rng(seed)
    images = rng.uniform(-1, 1, (2, 4, 5, 3)).astype("float32")
    images[0, 0, 0] = (-1.0, 0.0, 1.0)
    statistics = rng.normal(size=(2, 4, 5, 6)).astype("float32")
    return images, statistics


def density(x, mu, b):
    """Equation 2 of the paper's appendix A.3."""
    logit = np.log(x / (1 - x))
    return np.exp(-np.abs(logit - mu) / b) / (2 * b * x * (1 - x))


@pytest.mark.parametrize("epsilon", [0.1, 0.02])
def test_pixels_are_mapped_as_published(epsilon):
    values = np.array([0, 1, 128, 255], "uint8")
    images = values.astype("float32") / 127.5 - 1.0
    expected = (1 - 2 * epsilon) * values / 255 + epsilon
    mapped = to_numpy(map_pixels(images, epsilon))
    np.testing.assert_allclose(mapped, expected, rtol=1e-6)
    back = to_numpy(unmap_pixels(mapped, epsilon))
    np.testing.assert_allclose(back, images, atol=1e-6)


def test_unmapped_pixels_stay_in_range():
    outside = np.array([0.0, 0.05, 0.5, 0.95, 1.0], "float32")
    np.testing.assert_allclose(
        to_numpy(unmap_pixels(outside)), [-1, -1, 0, 1, 1], atol=1e-6
    )


@pytest.mark.parametrize("epsilon", [0.1, 0.02])
def test_log_likelihood_is_the_papers_equation(epsilon):
    images, statistics = example()
    loss = LogitLaplace(epsilon)
    x = (1 - 2 * epsilon) * (images.astype("float64") + 1) / 2 + epsilon
    mu, log_b = np.split(statistics.astype("float64"), 2, axis=-1)
    expected = np.log(density(x, mu, np.exp(log_b)))
    found = to_numpy(loss.log_likelihood(images, statistics))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    assert float(loss(images, statistics)) == pytest.approx(
        -expected.mean(), rel=1e-5
    )


def test_the_density_integrates_to_one():
    x = (np.arange(200_000) + 0.5) / 200_000
    epsilon = 1e-6  # Nearly the whole interval.
    images = 2 * (x - epsilon) / (1 - 2 * epsilon) - 1
    images = images.reshape(1, 1, -1, 1).astype("float32")
    statistics = np.zeros((1, 1, images.shape[2], 2), "float32")
    statistics[..., 0], statistics[..., 1] = 0.7, np.log(0.3)
    found = LogitLaplace(epsilon).log_likelihood(images, statistics)
    total = np.exp(to_numpy(found).astype("float64")).mean()
    assert total == pytest.approx(1.0, abs=1e-3)


def test_pictures_are_the_sigmoid_of_mu_unmapped():
    _, statistics = example()
    pictures = to_numpy(LogitLaplace(0.1).pictures(statistics))
    sigmoid = 1 / (1 + np.exp(-statistics[..., :3].astype("float64")))
    expected = 2 * np.clip((sigmoid - 0.1) / 0.8, 0, 1) - 1
    np.testing.assert_allclose(pictures, expected, atol=1e-5)


def test_half_precision_statistics_are_computed_in_float32():
    images, statistics = example()
    half = ops.cast(statistics, "bfloat16")
    found = LogitLaplace()(images, half)
    assert keras.backend.standardize_dtype(found.dtype) == "float32"
    expected = LogitLaplace()(images, ops.cast(half, "float32"))
    np.testing.assert_allclose(to_numpy(found), to_numpy(expected), rtol=1e-6)


def test_it_has_a_config():
    loss = LogitLaplace(0.2)
    config = keras.saving.serialize_keras_object(loss)
    again = keras.saving.deserialize_keras_object(config)
    assert isinstance(again, LogitLaplace) and again.epsilon == 0.2


@pytest.mark.parametrize("epsilon", [0, 0.5, -1, "0.1", None])
def test_epsilon_must_leave_an_interval(epsilon):
    with pytest.raises(ValueError, match="`epsilon` must be a number"):
        LogitLaplace(epsilon)
    for change in (map_pixels, unmap_pixels):
        with pytest.raises(ValueError, match="`epsilon` must be a number"):
            change(np.zeros(3, "float32"), epsilon)


def test_channels_must_fit():
    images, statistics = example()
    with pytest.raises(ValueError, match="two channels for each"):
        LogitLaplace()(images, statistics[..., :4])
