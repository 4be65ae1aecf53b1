import keras
import numpy as np
import pytest

from keras_bidalle.training import build_optimizer, learning_rate


def rates(schedule, steps):
    if not callable(schedule):
        return [schedule] * len(steps)
    return [float(schedule(step)) for step in steps]


def test_a_rate_rises_and_then_falls_or_stays():
    cosine = learning_rate(1.0, 110, warmup_steps=10, floor=0.2)
    expected = [0.0, 0.5, 1.0, 0.6, 0.2, 0.2]
    assert rates(cosine, [0, 5, 10, 60, 110, 500]) == pytest.approx(expected)
    early = learning_rate(1.0, 110, schedule_steps=50, cycles=2)
    assert rates(early, [0, 25, 50]) == pytest.approx([1, 1, 0], abs=1e-6)
    constant = learning_rate(1.0, 110, warmup_steps=10, schedule="constant")
    found = rates(constant, [0, 5, 10, 500])
    assert found == pytest.approx([0.0, 0.5, 1.0, 1.0])
    assert learning_rate(1e-3, 110, schedule="constant") == 1e-3


def test_a_rate_that_could_not_rise_is_refused():
    with pytest.raises(ValueError, match="`warmup_steps`.*steps=10"):
        learning_rate(1.0, 10, warmup_steps=10)
    with pytest.raises(ValueError, match="`schedule`.*'linear'"):
        learning_rate(1.0, 10, schedule="linear")


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw", "muon"])
def test_any_optimizer_decays_weights_as_it_is_asked_to(name):
    for decay, expected in ((0.0, 1.0), (0.5, 0.95)):
        weight = keras.Variable(np.ones((2, 2), "float32"))
        optimizer = build_optimizer(name, 0.1, weight_decay=decay)
        optimizer.apply([keras.ops.zeros((2, 2))], [weight])
        found = keras.ops.convert_to_numpy(weight)
        np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_settings_reach_the_optimizer():
    adam = build_optimizer(
        "adam", 0.1, clip_norm=2.0, average_momentum=0.9, beta_1=0.5
    )
    assert adam.global_clipnorm == 2.0 and adam.beta_1 == 0.5
    assert adam.use_ema and adam.ema_momentum == 0.9
    assert adam.weight_decay is None
    muon = build_optimizer("muon", 0.1, weight_decay=0.01)
    assert muon.adam_weight_decay == 0.01


def test_what_no_optimizer_knows_is_refused():
    with pytest.raises(ValueError, match="`optimizer`.*'adagrad'"):
        build_optimizer("adagrad", 0.1)
    with pytest.raises(ValueError, match="beta_1"):
        build_optimizer("sgd", 0.1, beta_1=0.5)
    with pytest.raises(ValueError, match="`weight_decay`.*-1"):
        build_optimizer("adam", 0.1, weight_decay=-1)
