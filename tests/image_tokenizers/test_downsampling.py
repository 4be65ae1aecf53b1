"""Tests of the four ways to halve a map."""

import numpy as np
import pytest
from keras import ops

from keras_bidalle.image_tokenizers.downsampling import (
    DOWNSAMPLINGS,
    BlurPool,
    get_downsampling,
)


def _random(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def _blurred(x):
    row = np.array([1, 4, 6, 4, 1]) / 16
    padded = np.pad(x, ((0, 0), (2, 2), (2, 2), (0, 0)), mode="edge")
    height, width = x.shape[1:3]
    result = sum(
        row[i] * row[j] * padded[:, i : i + height, j : j + width]
        for i in range(5)
        for j in range(5)
    )
    return result[:, ::2, ::2]


def test_blur_pool_is_a_binomial_filter_then_every_second_pixel():
    x = _random(2, 6, 7, 3)
    result = ops.convert_to_numpy(BlurPool()(x))
    np.testing.assert_allclose(result, _blurred(x), rtol=1e-4, atol=1e-5)


def test_max_blur_pool_is_max_then_blur():
    x = _random(2, 6, 8, 3)
    shifted = [x[:, :-1, :-1], x[:, 1:, :-1], x[:, :-1, 1:], x[:, 1:, 1:]]
    result = ops.convert_to_numpy(get_downsampling("maxblurpool")(x))
    np.testing.assert_allclose(
        result, _blurred(np.max(shifted, axis=0)), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("padding_mode", ["zero", "replication"])
@pytest.mark.parametrize("name", DOWNSAMPLINGS)
def test_each_halves_the_size_and_round_trips(name, padding_mode):
    layer = get_downsampling(name, padding_mode=padding_mode)
    x = _random(1, 8, 4, 3)
    assert tuple(layer(x).shape) == (1, 4, 2, 3)
    assert layer.compute_output_shape(x.shape) == (1, 4, 2, 3)
    config = layer.get_config()
    assert type(layer).from_config(config).get_config() == config


def test_an_unknown_name_is_refused():
    with pytest.raises(ValueError, match="downsampling.*'average'"):
        get_downsampling("average")
