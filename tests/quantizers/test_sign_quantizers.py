"""LFQ and BSQ, whose codes are the signs of the channels."""

import itertools

import numpy as np
import pytest
from quantizer_arrays import (
    numeric_gradient,
    numpy_entropy,
    random,
    softmax,
    to_numpy,
    weighted,
)

from keras_bidalle.quantizers import BSQ, LFQ

BITS = 4
# All sign vectors, the first channel the lowest bit.
SIGNS = np.array([s[::-1] for s in itertools.product([-1.0, 1.0], repeat=BITS)])


def unit(z):
    return z / np.linalg.norm(z, axis=-1, keepdims=True)


def lfq_loss(z, temperature=0.5):
    quantized = np.sign(z)
    odds = softmax(2.0 * z @ SIGNS.T / temperature)
    entropies = numpy_entropy(odds).mean() - numpy_entropy(odds.mean(0))
    return 0.25 * np.mean((z - quantized) ** 2) + 0.1 * entropies


def bsq_loss(z, group_bits):
    u, tau = unit(z), 2.0
    p = 1 / (1 + np.exp(-4 * u * tau / np.sqrt(BITS)))
    each = numpy_entropy(np.stack([p, 1 - p], -1)).sum(-1).mean()
    of_mean = 0.0
    for first in range(0, BITS, group_bits):
        group = slice(first, first + group_bits)
        joint = np.ones((len(z), 1))
        for bit in p[:, group].T[..., None]:
            joint = np.concatenate([joint * (1 - bit), joint * bit], -1)
        of_mean += numpy_entropy(joint.mean(0))
    commitment = np.mean((u - np.sign(z) / np.sqrt(BITS)) ** 2)
    return 0.3 * commitment + 0.1 * (each - 0.7 * of_mean) / tau


CASES = {
    "lfq": (lambda: LFQ(BITS, temperature=0.5), lfq_loss, lambda z: z, 1.0),
    **{
        f"bsq, groups of {bits}": (
            lambda bits=bits: BSQ(
                BITS,
                commitment_weight=0.3,
                diversity_weight=0.7,
                inverse_temperature=2.0,
                group_bits=bits,
            ),
            lambda z, bits=bits: bsq_loss(z, bits),
            unit,
            BITS**-0.5,
        )
        for bits in (1, 3, 4)
    },
}


@pytest.mark.parametrize("case", CASES)
def test_values_losses_and_gradients_are_those_of_the_equations(
    case, gradients
):
    make, loss, passing, scale = CASES[case]
    quantizer = make()
    z, weights = random(6, BITS), random(6, BITS, seed=1)

    np.testing.assert_allclose(
        to_numpy(quantizer(z)), scale * np.sign(z), atol=1e-6
    )
    assert float(sum(quantizer.losses)) == pytest.approx(loss(z), rel=1e-4)
    codes = to_numpy(quantizer.encode(z))
    np.testing.assert_array_equal(codes, (z > 0) @ (2 ** np.arange(BITS)))
    np.testing.assert_allclose(
        to_numpy(quantizer.decode(codes)), scale * np.sign(z), atol=1e-6
    )
    np.testing.assert_allclose(
        to_numpy(quantizer.codebook), scale * SIGNS, atol=1e-6
    )

    grad, _ = gradients(quantizer, z)
    np.testing.assert_allclose(grad, numeric_gradient(loss, z), atol=1e-4)
    grad, _ = gradients(quantizer, z, of=weighted(weights))
    straight = numeric_gradient(lambda x: np.sum(passing(x) * weights), z)
    np.testing.assert_allclose(grad, straight, atol=1e-4)


def test_many_bits_need_no_table_of_all_codes():
    quantizer = LFQ(18)
    quantizer(random(2, 8, 8, 18))
    assert np.isfinite(float(sum(quantizer.losses)))


def test_zero_is_negative_and_configurations_come_back():
    assert int(to_numpy(LFQ(BITS).encode(np.zeros((1, BITS))))[0]) == 0
    for quantizer in (
        LFQ(BITS, commitment_weight=0.1, temperature=0.4),
        BSQ(BITS, entropy_weight=0.3, diversity_weight=0.2),
    ):
        config = quantizer.get_config()
        again = type(quantizer).from_config(config)
        assert again.get_config() == config and again.num_codes == 2**BITS


@pytest.mark.parametrize("bits", [0, 25, 2.0])
def test_wrong_bits_are_refused(bits):
    with pytest.raises(ValueError, match="`code_dim` must be the bits"):
        LFQ(bits)


def test_two_replicas_have_the_gradients_of_one(two_devices):
    two_devices("""
from keras_bidalle import quantizers
strategy = tf.distribute.MirroredStrategy(devices)
z = tf.constant(np.random.default_rng(0).normal(size=(8, 6)), "float32")
layer = quantizers.LFQ(6, temperature=0.5)
layer.build((None, 6))
def gradient(z, share):
    with tf.GradientTape() as tape:
        tape.watch(z)
        layer(z, training=False)
        loss = sum(layer.losses) / share
    return tape.gradient(loss, z)
def program():
    here = tf.distribute.get_replica_context().replica_id_in_sync_group
    return gradient(tf.gather(tf.reshape(z, (2, 4, 6)), here), 2.0)
parts = strategy.experimental_local_results(strategy.run(tf.function(program)))
np.testing.assert_allclose(
    np.concatenate(parts), gradient(z, 1.0), atol=1e-5)
""")
