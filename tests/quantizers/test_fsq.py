import numpy as np
import pytest
from quantizer_arrays import numeric_gradient, random, to_numpy, weighted

from keras_bidalle.quantizers import FSQ

LEVELS = (8, 5, 4)


def bounded(z, gain=1.0):
    levels = np.array(LEVELS)
    half = (levels - 1) * 1.001 / 2
    offset = np.where(levels % 2 == 0, 0.5, 0.0)
    return np.tanh(gain * z + np.arctanh(offset / half)) * half - offset


@pytest.mark.parametrize("gain", [1.0, 0.8])
def test_values_codes_and_gradients_are_those_of_the_equation(gain, gradients):
    quantizer = FSQ(LEVELS, gain=gain)
    z, weights = 2.0 * random(2, 3, 3), random(2, 3, 3, seed=1)
    digits = np.round(bounded(z.astype("float64"), gain))
    halves = np.array(LEVELS) // 2
    np.testing.assert_allclose(
        to_numpy(quantizer(z)), digits / halves, atol=1e-6
    )
    codes = ((digits + halves) * [1, 8, 40]).sum(-1).astype("int32")
    np.testing.assert_array_equal(to_numpy(quantizer.encode(z)), codes)
    np.testing.assert_allclose(
        to_numpy(quantizer.decode(codes)), digits / halves, atol=1e-6
    )

    grad, _ = gradients(quantizer, z, of=weighted(weights))
    expected = numeric_gradient(
        lambda x: np.sum(bounded(x, gain) / halves * weights), z
    )
    np.testing.assert_allclose(grad, expected, atol=1e-4)


def test_the_sigmoid_form_is_a_gain():
    z = random(4, 3)
    sigmoid = 2 / (1 + np.exp(-1.6 * z)) - 1
    np.testing.assert_allclose(np.tanh(0.8 * z), sigmoid, atol=1e-6)


def test_each_code_is_its_own_and_in_range():
    quantizer = FSQ(LEVELS)
    vectors = to_numpy(quantizer.codebook)
    assert vectors.shape == (160, 3) and quantizer.num_codes == 160
    assert vectors.min() == -1.0 and len(np.unique(vectors, axis=0)) == 160
    far = 100.0 * random(500, 3)
    codes = to_numpy(quantizer.encode(far))
    assert codes.min() >= 0 and codes.max() < 160
    # Also of what is no number.
    assert 0 <= to_numpy(quantizer.encode(far * np.nan)).max() < 160


@pytest.mark.parametrize("levels", [(1024,), (1001,), (1200, 5), (8, 5)])
def test_no_code_is_beyond_the_outermost_levels(levels):
    quantizer = FSQ(np.array(levels))
    ends = np.array([[-9.0], [9.0]]) * np.ones(len(levels), "float32")
    codes = to_numpy(quantizer.encode(ends))
    assert codes.tolist() == [0, quantizer.num_codes - 1]
    np.testing.assert_array_equal(
        to_numpy(quantizer(ends)), to_numpy(quantizer.decode(codes))
    )


def test_a_saved_configuration_makes_the_same():
    again = FSQ.from_config(FSQ(LEVELS, gain=0.8).get_config())
    assert again.levels == LEVELS and again.gain == 0.8
    assert again.num_codes == 160


@pytest.mark.parametrize(
    "levels", [(), (8, 2), (8, 5.0), 8, "88", (8, True), (2000,) * 3]
)
def test_wrong_levels_are_refused(levels):
    with pytest.raises(ValueError, match="`levels` must"):
        FSQ(levels)
