import numpy as np
import pytest
from keras import ops
from quantizer_arrays import random, to_numpy

from keras_bidalle.quantizers import GumbelQuantizer


def softmax(x):
    x = np.exp(x - x.max(-1, keepdims=True))
    return x / x.sum(-1, keepdims=True)


def test_loss_is_the_divergence_from_even_use():
    quantizer, z = GumbelQuantizer(7, 5, kl_weight=0.1), 3 * random(32, 5)
    odds = softmax(to_numpy(quantizer.logits(z)))
    expected = 0.1 * np.mean(np.sum(odds * np.log(odds * 7), axis=-1))
    quantizer(z)
    assert float(sum(quantizer.losses)) == pytest.approx(expected, rel=1e-4)
    quantizer.kl_weight.assign(0.2)
    quantizer(z)
    assert float(sum(quantizer.losses)) == pytest.approx(2 * expected, rel=1e-4)


def test_training_mixes_and_inference_chooses():
    quantizer, z = GumbelQuantizer(7, 4, input_dim=5, seed=0), random(32, 5)
    chosen = to_numpy(quantizer.decode(quantizer.encode(z)))
    np.testing.assert_array_equal(to_numpy(quantizer(z)), chosen)
    mixed = to_numpy(quantizer(z, training=True))
    codebook = to_numpy(quantizer.codebook)
    distance = np.abs(mixed[:, None] - codebook).max(-1).min(1)
    assert np.median(distance) > 1e-3
    other = to_numpy(quantizer(z, training=True))
    assert np.abs(mixed - other).max() > 1e-3


def test_a_low_temperature_draws_codes_with_the_odds_of_the_logits():
    quantizer = GumbelQuantizer(4, 3, seed=0)
    quantizer.temperature.assign(1e-3)
    z = np.repeat(random(1, 3), 4000, axis=0)
    odds = to_numpy(ops.softmax(quantizer.logits(z)))[0]
    drawn = to_numpy(quantizer(z, training=True))
    gaps = drawn[:, None] - to_numpy(quantizer.codebook)
    counts = np.bincount((gaps**2).sum(-1).argmin(1), minlength=4)
    np.testing.assert_allclose(counts / 4000, odds, atol=0.03)


def test_hard_training_gives_codes_and_passes_gradients(gradients):
    quantizer, z = GumbelQuantizer(7, 5, hard=True, seed=0), random(32, 5)
    drawn = to_numpy(quantizer(z, training=True))
    gaps = np.abs(drawn[:, None] - to_numpy(quantizer.codebook)).max(-1)
    np.testing.assert_allclose(gaps.min(1), 0.0, atol=1e-5)


def test_schedule_may_start_before_the_first_batch():
    quantizer = GumbelQuantizer(7, 5, temperature=2.0)
    assert float(quantizer.temperature) == 2.0
    quantizer.temperature.assign(0.25)
    quantizer(random(4, 5), training=True)
    assert float(quantizer.temperature) == 0.25
    assert quantizer.get_config()["temperature"] == 2.0
