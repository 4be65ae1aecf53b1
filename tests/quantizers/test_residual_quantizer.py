import numpy as np
import pytest
from quantizer_arrays import random, repeated_centers, to_numpy

from keras_bidalle.quantizers import (
    EMAVectorQuantizer,
    OrthogonalVectorQuantizer,
    ResidualQuantizer,
    VectorQuantizer,
)


def separate(kind=VectorQuantizer, **kwargs):
    quantizer = ResidualQuantizer(
        kind(8, 5, **kwargs), code_depth=3, shared=False, commitment_weight=0.3
    )
    quantizer.ensure_built()
    for number, part in enumerate(quantizer.quantizers):
        part.assign_codebook(random(8, 5, seed=number + 1) / (number + 1))
    return quantizer


def chain(z, codebooks):
    """Residual quantization in plain NumPy: codes and partial sums."""
    total, codes, sums = np.zeros_like(z), [], []
    for codebook in codebooks:
        gaps = (z - total)[:, None] - codebook
        codes.append(np.argmin((gaps**2).sum(-1), axis=1))
        total = total + codebook[codes[-1]]
        sums.append(total)
    return np.stack(codes, axis=-1), sums


def test_each_depth_quantizes_what_is_left_over():
    quantizer, z = separate(), random(32, 5)
    codebooks = [to_numpy(part.codebook) for part in quantizer.quantizers]
    codes, sums = chain(z, codebooks)
    np.testing.assert_array_equal(to_numpy(quantizer.encode(z)), codes)
    for depth in (1, 2, 3):
        np.testing.assert_allclose(
            to_numpy(quantizer.decode(codes[:, :depth])),
            sums[depth - 1],
            rtol=1e-5,
            atol=1e-6,
        )


def test_losses_look_at_partial_sums_and_at_residuals(gradients):
    quantizer, z = separate(), random(32, 5)
    codebooks = [to_numpy(part.codebook) for part in quantizer.quantizers]
    codes, sums = chain(z, codebooks)
    errors = [z - total for total in sums]
    commitment = np.mean([np.mean(error**2) for error in errors])
    quantizer(z)
    # The residual less its code is the error of the partial sum.
    assert float(sum(quantizer.losses)) == pytest.approx(
        1.3 * commitment, rel=1e-5
    )
    grad_z, grad_codebooks = gradients(quantizer, z)
    expected = 0.3 * 2 * sum(errors) / 3 / z.size
    np.testing.assert_allclose(grad_z, expected, rtol=1e-4, atol=1e-7)
    for depth, grad in enumerate(grad_codebooks):
        expected = np.zeros_like(grad)
        np.add.at(expected, codes[:, depth], -2 * errors[depth] / 3 / z.size)
        np.testing.assert_allclose(grad, expected, rtol=1e-4, atol=1e-7)


def test_more_depths_are_more_exact():
    quantizer, z = separate(EMAVectorQuantizer, kmeans_steps=0), random(256, 5)
    for _ in range(20):
        quantizer(z, training=True)
    codes = to_numpy(quantizer.encode(z))
    errors = [
        np.mean((to_numpy(quantizer.decode(codes[:, :depth])) - z) ** 2)
        for depth in (1, 2, 3)
    ]
    assert errors[0] > errors[1] > errors[2]


@pytest.mark.parametrize("kind", [EMAVectorQuantizer, VectorQuantizer])
def test_shared_codebook_starts_from_latents_and_residuals(kind):
    centers, z = repeated_centers(6, 40, 4.0, 0.3, seed=9)
    quantizer = ResidualQuantizer(
        kind(24, 5, kmeans_steps=15, seed=0), code_depth=3
    )
    for _ in range(15):
        quantizer(z, training=True)
    error = np.mean((to_numpy(quantizer(z)) - z) ** 2)
    assert error < 0.3**2
    assert len(np.unique(to_numpy(quantizer.encode(z)))) >= 20


def test_orthogonality_is_asked_of_each_codebook_once():
    shared = ResidualQuantizer(OrthogonalVectorQuantizer(8, 5), code_depth=3)
    shared(random(4, 5))
    assert len(shared.losses) == 2
    apart = separate(OrthogonalVectorQuantizer)
    apart(random(4, 5))
    assert len(apart.losses) == 4


def test_usage_of_separate_codebooks_is_their_mean():
    quantizer = separate()
    z = random(2, 5)
    quantizer(z, training=False)
    codes = to_numpy(quantizer.encode(z))
    used = [len(np.unique(codes[:, depth])) for depth in range(3)]
    usage, perplexity = quantizer.metrics
    assert float(usage.result()) == pytest.approx(np.mean(used) / 8)
    assert float(perplexity.result()) == pytest.approx(np.mean(used))


def test_too_many_codes_a_position_are_refused():
    with pytest.raises(ValueError, match="`code_depth`=3"):
        separate().decode(np.zeros((2, 4), "int32"))
