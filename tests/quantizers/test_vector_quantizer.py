import keras
import numpy as np
import pytest
from keras import ops
from quantizer_arrays import random, to_numpy

from keras_bidalle.quantizers import VectorQuantizer
from keras_bidalle.quantizers.drawing import draw_vectors


def nearest_l2(z, codebook):
    return np.argmin(((z[:, None] - codebook) ** 2).sum(-1), axis=1)


def nearest_cosine(z, codebook):
    unit = codebook / np.linalg.norm(codebook, axis=1, keepdims=True)
    return np.argmax(z @ unit.T, axis=1)


@pytest.mark.parametrize(
    "distance, nearest", [("l2", nearest_l2), ("cosine", nearest_cosine)]
)
def test_the_nearest_code_is_chosen(distance, nearest):
    z, codebook = random(64, 5), random(12, 5, seed=1)
    quantizer = VectorQuantizer(12, 5, distance=distance)
    quantizer.assign_codebook(codebook)
    np.testing.assert_array_equal(
        to_numpy(quantizer.encode(z)), nearest(z, codebook)
    )


@pytest.mark.parametrize("commitment, weight", [(0.3, 1.0), (1.0, 0.3)])
def test_loss_and_its_gradients(gradients, commitment, weight):
    z, codebook = random(64, 5), random(12, 5, seed=1)
    quantizer = VectorQuantizer(
        12, 5, commitment_weight=commitment, codebook_weight=weight
    )
    quantizer.assign_codebook(codebook)
    codes = nearest_l2(z, codebook)
    difference = z - codebook[codes]
    quantizer(z)
    assert float(sum(quantizer.losses)) == pytest.approx(
        1.3 * np.mean(difference**2), rel=1e-5
    )
    grad_z, (grad_codebook,) = gradients(quantizer, z)
    np.testing.assert_allclose(
        grad_z, commitment * 2 * difference / z.size, rtol=1e-4, atol=1e-7
    )
    expected = np.zeros_like(codebook)
    np.add.at(expected, codes, -weight * 2 * difference / z.size)
    np.testing.assert_allclose(grad_codebook, expected, rtol=1e-4, atol=1e-7)


def test_default_codes_start_within_one_over_k():
    quantizer = VectorQuantizer(50, 4)
    quantizer.ensure_built()
    codebook = to_numpy(quantizer.codebook)
    assert np.abs(codebook).max() <= 1 / 50
    assert codebook.std() == pytest.approx(1 / 50 / 3**0.5, rel=0.2)


def test_a_moved_code_keeps_its_trained_weight(gradients):
    """The anchor moves; the gradient still goes to the trained weight."""
    z = random(64, 5)
    quantizer = VectorQuantizer(12, 5, kmeans_steps=2)
    quantizer(z, training=True)
    codebook = to_numpy(quantizer.codebook)
    embedding = to_numpy(quantizer.embedding)
    assert np.abs(embedding).max() <= 1 / 12 < np.abs(codebook).max()
    plain = VectorQuantizer(12, 5)
    plain.assign_codebook(codebook)
    expected = gradients(plain, z)
    actual = gradients(quantizer, z)
    np.testing.assert_allclose(actual[0], expected[0], rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(
        actual[1][0], expected[1][0], rtol=1e-4, atol=1e-7
    )


def test_codes_unused_for_long_are_revived_and_no_others():
    z = 5.0 + random(64, 3)
    codebook = random(8, 3, seed=1)
    codebook[:2] += 5.0  # only these two are near the data
    quantizer = VectorQuantizer(8, 3, revival_steps=3, seed=0)
    quantizer.assign_codebook(codebook)
    used = np.unique(nearest_l2(z, codebook))
    for _ in range(2):
        quantizer(z, training=True)
    np.testing.assert_allclose(
        to_numpy(quantizer.codebook), codebook, atol=1e-6
    )
    quantizer(z, training=True)
    revived = to_numpy(quantizer.codebook)
    np.testing.assert_allclose(revived[used], codebook[used], atol=1e-6)
    dead = np.setdiff1d(np.arange(8), used)
    to_data = np.abs(revived[dead][:, None] - z).max(-1).min(1)
    np.testing.assert_allclose(to_data, 0.0, atol=1e-5)
    assert len(np.unique(nearest_l2(z, revived))) > len(used)


def test_start_and_revival_keep_the_codebook_alive_in_fit(
    autoencoder, clusters
):
    def usage(**care):
        model = autoencoder(VectorQuantizer(32, 8, seed=0, **care))
        history = model.fit(
            clusters, clusters, epochs=3, batch_size=32, verbose=0
        ).history
        return history["codebook_usage"][-1]

    assert usage(kmeans_steps=5, revival_steps=5) >= 0.9


def test_vectors_are_drawn_with_the_odds_asked_for():
    vectors = ops.convert_to_tensor(np.arange(4.0, dtype="float32")[:, None])
    odds = np.array([0.5, 0.0, 0.25, 0.25], "float32")
    weights = ops.convert_to_tensor(odds)
    seed = keras.random.SeedGenerator(0)
    # In two parts, as residual depths are.
    parts = [(vectors[:1], weights[:1] * 7), (vectors[1:], weights[1:] * 7)]
    drawn = to_numpy(draw_vectors(parts, 400, seed)).ravel()
    shares = np.bincount(drawn.astype(int), minlength=4) / 400
    np.testing.assert_allclose(shares, odds, atol=0.01)
    drawn = to_numpy(draw_vectors([(vectors, weights * 0)], 400, seed)).ravel()
    shares = np.bincount(drawn.astype(int), minlength=4) / 400
    np.testing.assert_allclose(shares, 0.25, atol=0.01)


def test_assigned_codebook_must_have_the_right_shape():
    with pytest.raises(ValueError, match=r"\(num_codes, code_dim\)=\(12, 5\)"):
        VectorQuantizer(12, 5).assign_codebook(random(5, 12))
