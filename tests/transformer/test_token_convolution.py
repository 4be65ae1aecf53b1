import numpy as np
import pytest
from keras import ops

from keras_bidalle.generators import TokenConvolution


def rows():
    rng = np.random.default_rng(0)
    return rng.normal(size=(2, 7, 3)).astype("float32")


def test_adds_weighted_neighbours_before_each_position():
    layer = TokenConvolution(4)
    x = rows()
    y = ops.convert_to_numpy(layer(x))
    weights = ops.convert_to_numpy(layer.lag_weights)
    expected = x.copy()
    for t in range(7):
        for lag in range(1, 4):
            if t >= lag:
                expected[:, t] += weights[lag - 1] * x[:, t - lag]
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kernel_size", [1, 2, 5])
@pytest.mark.parametrize("given", [1, 4])
def test_position_by_position_is_the_same(kernel_size, given):
    layer = TokenConvolution(kernel_size)
    x = rows()
    whole = ops.convert_to_numpy(layer(x))
    x = ops.convert_to_tensor(x)
    y, recent = layer.prefill(x[:, :given])
    parts = [y]
    for t in range(given, 7):
        y, recent = layer.decode(x[:, t : t + 1], recent)
        parts.append(y)
    parts = ops.convert_to_numpy(ops.concatenate(parts, axis=1))
    np.testing.assert_allclose(parts, whole, rtol=1e-5, atol=1e-6)


def test_a_kernel_of_one_changes_nothing_and_weighs_nothing():
    layer = TokenConvolution(1)
    x = rows()
    np.testing.assert_array_equal(ops.convert_to_numpy(layer(x)), x)
    assert not layer.weights


@pytest.mark.parametrize("kernel_size", [0, -1, 2.0, None])
def test_a_wrong_kernel_size_is_named(kernel_size):
    with pytest.raises(ValueError, match="`kernel_size`.*positive integer"):
        TokenConvolution(kernel_size)


def test_config_round_trip():
    layer = TokenConvolution(3)
    assert TokenConvolution.from_config(layer.get_config()).kernel_size == 3
