import math

import keras
import numpy as np
import pytest
from small_runs import stream

from keras_bidalle.training import (
    ResumableCheckpoint,
    VariableSchedule,
    WarmupCosine,
    resumable_fit,
)


class Scaled(keras.layers.Layer):
    """Adds up the temperature of each training step."""

    def build(self, input_shape):
        self.temperature = self.add_weight(
            shape=(), initializer="ones", trainable=False
        )
        self.total = self.add_weight(
            shape=(), initializer="zeros", trainable=False
        )

    def call(self, x, training=None):
        if training:
            self.total.assign(self.total + self.temperature)
        return x * self.temperature


def model():
    layer = Scaled()
    model = keras.Sequential([keras.Input((4,)), layer, keras.layers.Dense(1)])
    model.compile("adam", "mse")
    return model, layer


@pytest.mark.parametrize("every, total", [(1, 45.0), (4, 32.0)])
def test_the_variable_has_the_steps_value_in_each_step(every, total):
    net, layer = model()
    schedule = VariableSchedule(layer.temperature, float, every_steps=every)
    net.fit(
        stream(0),
        epochs=2,
        steps_per_epoch=5,
        verbose=0,
        callbacks=[schedule],
    )
    assert float(layer.total) == total


def test_a_learning_rate_schedule_drives_a_variable():
    net, layer = model()
    decay = keras.optimizers.schedules.ExponentialDecay(1.0, 1, 0.5)
    callbacks = [VariableSchedule(layer.temperature, decay)]
    net.fit(stream(0), steps_per_epoch=3, verbose=0, callbacks=callbacks)
    assert float(layer.temperature) == pytest.approx(0.25)


def test_it_goes_on_at_the_right_step_after_a_cut(tmp_path):
    class Cut(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch == 3:
                raise KeyboardInterrupt

    def run(callbacks=()):
        net, layer = model()
        resumable_fit(
            net,
            stream,
            ResumableCheckpoint(tmp_path, every_steps=1),
            epochs=2,
            steps_per_epoch=5,
            callbacks=[VariableSchedule(layer.temperature, float), *callbacks],
        )
        return layer

    with pytest.raises(KeyboardInterrupt):
        run([Cut()])
    assert float(run().total) == 45.0


def test_every_steps_must_be_positive():
    _, layer = model()
    with pytest.raises(ValueError, match="`every_steps` must be a positive"):
        VariableSchedule(layer.temperature, float, every_steps=0)


@pytest.mark.parametrize("warmup", [0, 1, 20])
def test_warmup_cosine_is_the_curve_of_keras(warmup):
    ours = WarmupCosine(0.3, 100, warmup)
    theirs = keras.optimizers.schedules.CosineDecay(
        0.3 if not warmup else 0.0,
        100 - warmup,
        warmup_target=0.3 if warmup else None,
        warmup_steps=warmup,
    )
    for step in (0, 1, 7, 20, 21, 63, 100, 150):
        np.testing.assert_allclose(
            float(ours(step)), float(theirs(step)), rtol=1e-5, atol=1e-7
        )
    again = WarmupCosine.from_config(ours.get_config())
    assert float(again(33)) == float(ours(33))


def test_a_cosine_may_end_above_0_and_begin_anew():
    schedule = WarmupCosine(0.3, 110, 10, floor=0.1, cycles=4)
    for step in (0, 5, 10, 22, 34, 35, 47, 60, 85, 109):
        past = (max(step - 10, 0) % 25) / 25
        expected = 0.1 + 0.2 * (1 + math.cos(math.pi * past)) / 2
        expected *= min(step / 10, 1)
        assert float(schedule(step)) == pytest.approx(expected, rel=1e-4)
    for step in (110, 111, 5000):
        assert float(schedule(step)) == pytest.approx(0.1)
    again = WarmupCosine.from_config(schedule.get_config())
    assert float(again(33)) == float(schedule(33))
    with pytest.raises(ValueError, match="`cycles` must be.*cycles=0"):
        WarmupCosine(0.3, 100, cycles=0)


@pytest.mark.parametrize("warmup", [-1, 100])
def test_warmup_must_fit_the_steps(warmup):
    with pytest.raises(ValueError, match="`warmup_steps`.*steps=100"):
        WarmupCosine(0.3, 100, warmup)
