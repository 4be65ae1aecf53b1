import keras
import numpy as np
import pytest

from keras_bidalle.training import StepBatches, epoch_shuffled


@pytest.mark.parametrize("workers", [1, 3])
def test_fit_sees_the_batches_in_order_from_the_start(workers):
    model = keras.Sequential([keras.Input((1,)), Seen()])
    model.compile(run_eagerly=True, loss="mse")
    data = np.arange(100, dtype="float32")

    def batch(step):
        return data[step].reshape(1, 1), np.zeros((1, 1), "float32")

    stream = StepBatches(batch, start=7, workers=workers)
    model.fit(stream, epochs=2, steps_per_epoch=3, verbose=0)
    seen = keras.ops.convert_to_numpy(model.layers[-1].seen)
    np.testing.assert_array_equal(seen, [7, 8, 9, 10, 11, 12])


class Seen(keras.layers.Layer):
    """Notes the values that pass in training."""

    def build(self, input_shape):
        self.scale = self.add_weight(shape=(), initializer="ones")
        self.seen = self.add_weight(
            shape=(6,), initializer="zeros", trainable=False
        )

    def call(self, x, training=None):
        if training:
            moved = keras.ops.roll(self.seen, -1)
            last = keras.ops.arange(6) == 5
            self.seen.assign(keras.ops.where(last, x[0, 0], moved))
        return x * self.scale


@pytest.mark.parametrize("start", [-1, 1.5])
def test_a_start_that_is_no_step_is_refused(start):
    with pytest.raises(ValueError, match="`start` must be a non-negative"):
        StepBatches(lambda step: step, start=start)


def test_each_epoch_holds_each_item_once_in_another_order():
    indices = epoch_shuffled(num_items=10, batch_size=5, seed=0)
    epochs = [
        np.concatenate([indices(step) for step in steps])
        for steps in ((0, 1), (2, 3))
    ]
    for epoch in epochs:
        np.testing.assert_array_equal(np.sort(epoch), np.arange(10))
    assert not np.array_equal(*epochs)


def test_the_shuffle_depends_on_the_step_alone():
    forward = epoch_shuffled(num_items=11, batch_size=3, seed=5)
    batches = [forward(step) for step in range(9)]
    other = epoch_shuffled(num_items=11, batch_size=3, seed=5)
    for step in reversed(range(9)):
        np.testing.assert_array_equal(other(step), batches[step])


@pytest.mark.parametrize("batch_size", [0, 11])
def test_a_batch_size_beyond_the_items_is_refused(batch_size):
    with pytest.raises(ValueError, match="`batch_size` must lie in"):
        epoch_shuffled(num_items=10, batch_size=batch_size, seed=0)
