import numpy as np
import pytest

from keras_bidalle.quantizers import (
    OrthogonalRegularizer,
    OrthogonalVectorQuantizer,
)


def penalty(codes, coefficient, normalize):
    if normalize:
        codes = codes / np.linalg.norm(codes, axis=1, keepdims=True)
    k = len(codes)
    return coefficient / k**2 * np.sum((codes @ codes.T - np.eye(k)) ** 2)


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("shape", [(6, 9), (9, 6)])
def test_is_the_squared_norm_of_gram_minus_identity(shape, normalize):
    codes = np.random.default_rng(0).normal(size=shape).astype("float32")
    regularizer = OrthogonalRegularizer(3.0, normalize=normalize)
    assert float(regularizer(codes)) == pytest.approx(
        penalty(codes, 3.0, normalize), rel=1e-5
    )


def test_orthogonal_codes_cost_nothing():
    codes, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(8, 8)))
    codes = codes.astype("float32")
    regularizer = OrthogonalRegularizer()
    assert float(regularizer(5 * codes)) == pytest.approx(0.0, abs=1e-5)
    unit = OrthogonalRegularizer(normalize=False)
    assert float(unit(codes)) == pytest.approx(0.0, abs=1e-5)
    assert float(unit(5 * codes)) > 1.0


def test_a_sample_of_codes_estimates_the_whole():
    codes = np.random.default_rng(0).normal(size=(64, 8)).astype("float32")
    sampled = OrthogonalRegularizer(num_sampled_codes=16, seed=0)
    draws = [float(sampled(codes)) for _ in range(40)]
    assert np.std(draws) > 0
    assert np.mean(draws) == pytest.approx(penalty(codes, 10.0, True), rel=0.1)


def test_training_on_it_alone_makes_codes_orthogonal(gradients):
    quantizer = OrthogonalVectorQuantizer(8, 8, seed=0)
    z = np.zeros((4, 8), "float32")
    first = None
    for _ in range(60):
        _, (grad,) = gradients(quantizer, z, of=lambda _, losses: losses[1])
        codes = np.asarray(quantizer.get_weights()[0])
        first = first or penalty(codes, 10.0, True)
        quantizer.assign_codebook(codes - 0.05 * grad)
    assert penalty(codes, 10.0, True) < 0.1 * first


def test_no_orthogonality_is_the_plain_quantizer():
    quantizer = OrthogonalVectorQuantizer(8, 8, orthogonality=0)
    quantizer(np.ones((4, 8), "float32"))
    assert len(quantizer.losses) == 1


def test_own_regularizer_is_refused():
    with pytest.raises(ValueError, match="`codebook_regularizer`"):
        OrthogonalVectorQuantizer(8, 8, codebook_regularizer="l2")
