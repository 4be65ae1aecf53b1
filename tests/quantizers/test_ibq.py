import numpy as np
import pytest
from keras import ops
from quantizer_arrays import (
    numeric_gradient,
    numpy_entropy,
    random,
    softmax,
    to_numpy,
)

from keras_bidalle.quantizers import IBQ, ibq, row_chunks

K, C, N = 7, 4, 5


def quantizer():
    layer = IBQ(K, C, codebook_initializer="random_normal", temperature=0.3)
    layer.ensure_built()
    layer.assign_codebook(random(K, C, seed=3))
    return layer


def loss(z, e, constant):
    """The loss, with `constant` = (z, e) where gradients are stopped."""
    z0, e0 = constant
    codes = np.argmax(z0 @ e0.T, -1)
    hard = np.eye(K)[codes]
    # w has the value `hard` and the slope of p; E in it is trained by `hard`.
    p, p0 = softmax(z @ e.T), softmax(z0 @ e0.T)
    q = hard @ e + (p - p0) @ e0
    p_t = softmax(z @ e.T / 0.3)
    mean = p_t.mean(0)
    entropies = numpy_entropy(p_t).mean() + np.sum(mean * np.log(mean + 1e-5))
    return (
        np.mean((q - z) ** 2)
        + np.mean((z - hard @ e0) ** 2)
        + 0.25 * np.mean((hard @ e - z0) ** 2)
        + 0.05 * entropies
    )


@pytest.mark.parametrize("in_parts", [False, True])
def test_values_losses_and_gradients_are_those_of_the_equation(
    in_parts, gradients, monkeypatch
):
    if in_parts:
        monkeypatch.setattr(row_chunks, "_LARGE", 1)
        monkeypatch.setattr(row_chunks, "_CODES_A_PART", 3)
    layer, z = quantizer(), random(N, C)
    e = to_numpy(layer.codebook)
    codes = np.argmax(z @ e.T, -1)
    np.testing.assert_array_equal(to_numpy(layer.encode(z)), codes)
    np.testing.assert_allclose(to_numpy(layer(z)), e[codes], atol=1e-6)
    expected = loss(z, e, (z, e))
    assert float(sum(layer.losses)) == pytest.approx(expected, rel=1e-4)

    grad_z, (grad_e,) = gradients(layer, z)
    of_z = numeric_gradient(lambda x: loss(x, e, (z, e)), z)
    of_e = numeric_gradient(lambda x: loss(z, x, (z, e)), e)
    np.testing.assert_allclose(grad_z, of_z, atol=1e-4)
    np.testing.assert_allclose(grad_e, of_e, atol=1e-4)


def test_gradients_reach_codes_that_nobody_chose(gradients):
    layer, z = quantizer(), random(N, C)
    _, (grad,) = gradients(layer, z, of=lambda output, _: ops.sum(output**2))
    assert (np.abs(grad).sum(-1) > 0).all()


def test_a_saved_configuration_makes_the_same():
    config = quantizer().get_config()
    assert IBQ.from_config(config).get_config() == config
    assert ibq.IBQ is IBQ


@pytest.mark.parametrize(
    "argument", [{"distance": "l2"}, {"gradient": "rotation"}]
)
def test_what_it_would_not_heed_is_refused(argument):
    (name,) = argument
    with pytest.raises(ValueError, match=f"`{name}` must be left out"):
        IBQ(K, C, **argument)
