import numpy as np
from quantizer_arrays import random, repeated_centers, to_numpy

from keras_bidalle.quantizers import EMAVectorQuantizer


def test_codes_are_smoothed_running_means():
    z, codebook = random(64, 5), random(6, 5, seed=1)
    quantizer = EMAVectorQuantizer(
        6, 5, decay=0.8, epsilon=0.01, kmeans_steps=0, revival_share=0.0
    )
    quantizer.assign_codebook(codebook)
    sizes, sums = np.ones(6), codebook.copy()
    for _ in range(3):
        codes = np.argmin(((z[:, None] - codebook) ** 2).sum(-1), axis=1)
        chosen = np.eye(6)[codes]
        sizes = 0.8 * sizes + 0.2 * chosen.sum(0)
        sums = 0.8 * sums + 0.2 * chosen.T @ z
        total = sizes.sum()
        smoothed = (sizes + 0.01) / (total + 0.06) * total
        codebook = sums / smoothed[:, None]
        quantizer(z, training=True)
    np.testing.assert_allclose(
        to_numpy(quantizer.codebook), codebook, rtol=1e-4, atol=1e-5
    )
    np.testing.assert_allclose(
        to_numpy(quantizer.cluster_size), sizes, rtol=1e-5
    )


def test_nothing_but_training_moves_the_codebook():
    quantizer = EMAVectorQuantizer(6, 5)
    quantizer.ensure_built()
    before = to_numpy(quantizer.codebook).copy()
    quantizer(random(64, 5), training=False)
    np.testing.assert_array_equal(before, to_numpy(quantizer.codebook))
    assert not quantizer.trainable_variables


def test_first_steps_do_not_blow_up_unused_codes():
    quantizer = EMAVectorQuantizer(64, 5, kmeans_steps=0, revival_share=0)
    for step in range(5):
        quantizer(0.1 * random(8, 5, seed=step), training=True)
    assert np.abs(to_numpy(quantizer.codebook)).max() < 6.0


def test_mixed_precision_does_not_stop_the_averages():
    """In bfloat16 a decay of 0.99 or more would round to no change."""
    quantizer = EMAVectorQuantizer(
        2,
        1,
        decay=0.999,
        kmeans_steps=0,
        revival_share=0,
        dtype="mixed_bfloat16",
    )
    quantizer.assign_codebook([[1.0], [-1.0]])
    z = np.full((1, 1), 1.5, "float32")
    for _ in range(100):
        quantizer(z, training=True)
    remains = 0.999**100
    np.testing.assert_allclose(
        to_numpy(quantizer.codebook)[0], 1.5 - 0.5 * remains, rtol=1e-3
    )


def test_codes_are_averages_after_the_kmeans_start():
    _, z = repeated_centers(10, 30, 3.0, 0.01, seed=4)
    quantizer = EMAVectorQuantizer(10, 5, kmeans_steps=12, seed=0)
    for _ in range(12):
        quantizer(z, training=True)
    before = to_numpy(quantizer.codebook).copy()
    quantizer(z + 1.0, training=True)
    moved = np.abs(to_numpy(quantizer.codebook) - before).max()
    assert 0.0 < moved < 0.1


def test_dead_codes_are_revived_with_new_statistics():
    near, missed = 0.1 * random(60, 3), np.full((4, 3), 20.0, "float32")
    z = np.concatenate([near, missed])
    codebook = random(8, 3)
    codebook[5] = -50.0  # nobody's
    quantizer = EMAVectorQuantizer(
        8, 3, kmeans_steps=0, revival_share=0.05, seed=0
    )
    quantizer.assign_codebook(codebook)
    sizes = np.full(8, 8.0, "float32")
    sizes[5] = 0.1
    quantizer.cluster_size.assign(sizes)
    quantizer(z, training=True)
    code = to_numpy(quantizer.codebook)[5]
    np.testing.assert_allclose(code, 20.0)
    size = to_numpy(quantizer.cluster_size)[5]
    np.testing.assert_allclose(
        to_numpy(quantizer.embed_sum)[5], code * size, rtol=1e-5
    )
    # It was put where it is missed, and stays.
    assert np.all(to_numpy(quantizer.encode(missed)) == 5)
    quantizer(z, training=True)
    np.testing.assert_allclose(to_numpy(quantizer.codebook)[5], 20.0, rtol=1e-3)


def test_a_batch_smaller_than_the_codebook_will_do():
    quantizer = EMAVectorQuantizer(64, 3)
    for step in range(3):
        quantizer(random(4, 3, seed=step), training=True)
    assert np.all(np.isfinite(to_numpy(quantizer.codebook)))


def test_fit_keeps_the_codebook_alive(autoencoder, clusters):
    model = autoencoder(EMAVectorQuantizer(32, 8, kmeans_steps=5, seed=0))
    history = model.fit(
        clusters, clusters, epochs=3, batch_size=32, verbose=0
    ).history
    assert history["codebook_usage"][-1] >= 0.9
    assert history["loss"][-1] < history["loss"][0]


def test_two_replicas_move_the_codebook_like_one(two_devices):
    code = """
from keras_bidalle.quantizers import EMAVectorQuantizer
z = np.random.default_rng(0).normal(size=(64, 5)).astype("float32")
start = z[:6] + 0.1
def build():
    quantizer = EMAVectorQuantizer(6, 5, kmeans_steps=0, seed=0)
    quantizer.assign_codebook(start)
    return quantizer
alone = build()
alone(z, training=True)
strategy = tf.distribute.MirroredStrategy(devices)
with strategy.scope():
    together = build()
halves = strategy.experimental_distribute_values_from_function(
    lambda context: tf.constant(
        np.split(z, 2)[context.replica_id_in_sync_group]))
tf.function(lambda: strategy.run(
    lambda x: together(x, training=True), (halves,)))()
for state in ("embedding", "cluster_size", "embed_sum", "epoch_counts"):
    expected = getattr(alone, state).numpy()
    assert not np.allclose(expected, 0)
    for value in getattr(together, state).value.values:
        np.testing.assert_allclose(value.numpy(), expected, rtol=1e-5)
"""
    two_devices(code)
