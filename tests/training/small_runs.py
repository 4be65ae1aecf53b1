"""A small model with everything a checkpoint must hold, and its data."""

import keras
import numpy as np

from keras_bidalle.data.streams import BatchStream
from keras_bidalle.training import resumable_fit

STEPS_PER_EPOCH = 5


class CountedDropout(keras.layers.Layer):
    """Dropout (a seed), with a moving mean (a non-trainable variable)."""

    def build(self, input_shape):
        self.dropout = keras.layers.Dropout(0.5, seed=7)
        self.mean = self.add_weight(
            shape=(input_shape[-1],), initializer="zeros", trainable=False
        )

    def call(self, x, training=None):
        if training:
            batch_mean = keras.ops.mean(x, axis=0)
            self.mean.assign(0.9 * self.mean + 0.1 * batch_mean)
        return self.dropout(x - self.mean, training=training)


def small_model(optimizer=None, units=16):
    model = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(units, activation="relu"),
            CountedDropout(),
            keras.layers.Dense(1),
        ]
    )
    schedule = keras.optimizers.schedules.CosineDecay(0.02, 50)
    model.compile(
        optimizer=optimizer or keras.optimizers.Adam(schedule),
        loss="mse",
        metrics=["mae"],
    )
    return model


def batch(step):
    rng = np.random.default_rng((3, step))
    x = rng.normal(size=(8, 4)).astype("float32")
    return x, x.sum(axis=1, keepdims=True)


def stream(step):
    return BatchStream(batch, start=step)


def state(model):
    """Every variable that training changes, as NumPy arrays."""
    variables = [*model.variables, *model.optimizer.variables]
    return [keras.ops.convert_to_numpy(v) for v in variables]


def run_with(checkpoint, callbacks, epochs, model=None, **kwargs):
    """Trains a small model by `resumable_fit`; gives it and its history."""
    model = model or small_model()
    history = resumable_fit(
        model,
        stream,
        checkpoint,
        epochs=epochs,
        steps_per_epoch=STEPS_PER_EPOCH,
        callbacks=callbacks,
        **kwargs,
    )
    return model, history
