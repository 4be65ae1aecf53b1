import numpy as np
from quantizer_arrays import random, to_numpy

from keras_bidalle.quantizers import (
    ResidualQuantizer,
    RestartingVectorQuantizer,
)


def started(**kwargs):
    """Six codes, two of them (1 and 4) hardly chosen until now."""
    quantizer = RestartingVectorQuantizer(6, 5, decay=0.8, seed=0, **kwargs)
    codebook = random(6, 5, seed=1)
    codebook[[1, 4]] += 50.0
    quantizer.assign_codebook(codebook)
    sizes = np.array([9, 1.2, 9, 9, 1.2, 9], "float32")
    quantizer.cluster_size.assign(sizes)
    quantizer.embed_sum.assign(codebook * sizes[:, None])
    return quantizer, codebook, sizes


def test_unused_codes_become_latents_of_the_batch_with_a_count_of_one():
    quantizer, codebook, sizes = started()
    z = random(64, 5)
    quantizer(z, training=True)
    codes = np.argmin(((z[:, None] - codebook) ** 2).sum(-1), axis=1)
    chosen = np.eye(6)[codes]
    sums = 0.8 * codebook * sizes[:, None] + 0.2 * chosen.T @ z
    sizes = 0.8 * sizes + 0.2 * chosen.sum(0)
    restarted = sizes < 1.0
    np.testing.assert_array_equal(np.flatnonzero(restarted), [1, 4])
    found = to_numpy(quantizer.embed_sum)
    rows = [np.flatnonzero((z == row).all(-1)) for row in found[restarted]]
    assert all(len(row) == 1 for row in rows) and rows[0] != rows[1]
    sums[restarted], sizes[restarted] = found[restarted], 1.0
    np.testing.assert_allclose(found, sums, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(
        to_numpy(quantizer.cluster_size), sizes, rtol=1e-5
    )
    smoothed = (sizes + 1e-5) / (sizes.sum() + 6e-5) * sizes.sum()
    np.testing.assert_allclose(
        to_numpy(quantizer.codebook),
        sums / smoothed[:, None],
        rtol=1e-4,
        atol=1e-5,
    )


def test_without_restarts_it_is_a_running_mean():
    quantizer, codebook, sizes = started(revival_count=0.0)
    quantizer(random(64, 5), training=True)
    np.testing.assert_allclose(
        to_numpy(quantizer.cluster_size)[[1, 4]], 0.8 * 1.2, rtol=1e-5
    )


def test_a_small_batch_is_repeated_with_noise():
    quantizer = RestartingVectorQuantizer(64, 4, seed=0)
    z = 10.0 * random(5, 4)
    quantizer(z, training=True)
    codebook = to_numpy(quantizer.codebook)
    gaps = np.abs(codebook[:, None] - z).max(-1)
    assert gaps.min(1).max() < 0.02
    # All latents are there, and no two codes are one.
    assert len(np.unique(gaps.argmin(1))) == 5
    assert len(np.unique(codebook, axis=0)) == 64


def test_a_shared_codebook_restarts_at_each_depth():
    part, codebook, sizes = started()
    part.decay = 0.99
    # Enough for the first depth's update, too little for the second's.
    sizes[[1, 4]] = 1.015
    part.cluster_size.assign(sizes)
    quantizer = ResidualQuantizer(part, code_depth=2)
    z = random(64, 5)
    codes = np.argmin(((z[:, None] - codebook) ** 2).sum(-1), axis=1)
    left_over = z - codebook[codes]
    quantizer(z, training=True)
    assert set(np.flatnonzero(to_numpy(part.cluster_size) == 1)) == {1, 4}
    for drawn in to_numpy(part.embed_sum)[[1, 4]]:
        assert np.isclose(drawn, left_over, atol=1e-5).all(-1).any()


def test_fit_keeps_the_codebook_alive(autoencoder, clusters):
    quantizer = ResidualQuantizer(
        RestartingVectorQuantizer(32, 8, seed=0), code_depth=2, shared=False
    )
    model = autoencoder(quantizer)
    history = model.fit(
        clusters, clusters, epochs=3, batch_size=32, verbose=0
    ).history
    assert history["codebook_usage"][-1] > 0.7
    assert history["loss"][-1] < history["loss"][0]
