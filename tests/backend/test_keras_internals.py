"""Private names of Keras still mean what they meant in 3.15."""

import threading

import keras
import numpy as np
import pytest
from keras import ops

from keras_bidalle.backend import keras_internals


def test_a_stateless_scope_is_noticed():
    assert not keras_internals.is_stateless()
    with keras.StatelessScope():
        assert keras_internals.is_stateless()


def test_draws_without_a_seed_move_the_global_seed_generator():
    keras.random.uniform(())
    generator = keras_internals.global_seed_generator()
    before = ops.convert_to_numpy(generator.state).copy()
    keras.random.uniform(())
    assert not np.array_equal(ops.convert_to_numpy(generator.state), before)


def test_variables_may_never_get_values():
    with keras_internals.variables_without_values():
        # Of 4 TB, were they there.
        layer = keras.layers.Dense(10**6)
        layer.build((None, 10**6))
    assert layer.count_params() == 10**12 + 10**6
    # Where Keras gives values to all variables that wait for one.
    with keras.StatelessScope(initialize_variables=True):
        pass


def test_values_that_are_read_next_are_not_drawn(monkeypatch):
    def drawn(self, *args, **kwargs):
        raise AssertionError("a random number was drawn")

    monkeypatch.setattr(keras.initializers.GlorotUniform, "__call__", drawn)
    with keras_internals.variables_with_values_to_come():
        layer = keras.layers.Dense(3, bias_initializer="ones")
        layer.build((None, 2))
        noise = keras.random.SeedGenerator(7)
    kernel, bias = (ops.convert_to_numpy(weight) for weight in layer.weights)
    np.testing.assert_array_equal(kernel, np.zeros((2, 3), "float32"))
    np.testing.assert_array_equal(bias, np.ones(3, "float32"))
    assert ops.convert_to_numpy(noise.state).tolist() == [7, 0]
    # What it computes follows its weights on every backend.
    layer.kernel.assign(np.full((2, 3), 2.0))
    np.testing.assert_array_equal(
        ops.convert_to_numpy(layer(np.ones((1, 2), "float32"))), [[5.0] * 3]
    )
    # None is left that Keras would give a value to later, after an error too.
    with (
        pytest.raises(KeyError),
        keras_internals.variables_with_values_to_come(),
    ):
        keras.layers.Dense(3).build((None, 2))
        raise KeyError
    with keras.StatelessScope(initialize_variables=True):
        pass


def test_a_drawn_seed_gives_the_same_noise_again():
    generator = keras.random.SeedGenerator()
    seed = keras_internals.DrawnSeed(generator.next())
    first, again = (
        ops.convert_to_numpy(keras.random.dropout(ops.ones(64), 0.5, seed=seed))
        for _ in range(2)
    )
    assert 0 < first.sum() < 128
    np.testing.assert_array_equal(first, again)


def test_losses_of_two_threads_are_kept_apart():
    class Layer(keras_internals.ReplicaLosses, keras.layers.Layer):
        def call(self, x):
            self.add_loss(ops.sum(x))
            return x

    layer = Layer()
    layer(ops.ones(2))
    found = []

    def work():
        layer(ops.ones(3))
        found.extend(layer.losses)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert [float(loss) for loss in found] == [3.0]
    assert [float(loss) for loss in layer.losses] == [2.0]


def test_batches_are_normalized_by_the_reduced_statistics():
    class Layer(keras_internals.ReducibleBatchNormalization):
        def reduce_moments(self, mean, variance):
            return mean + 1.0, variance * 4.0

    layer = Layer(momentum=0.0, epsilon=0.0)
    x = np.array([[-1.0], [1.0]], "float32")
    y = ops.convert_to_numpy(layer(x, training=True))
    np.testing.assert_allclose(y, (x - 1.0) / 2.0, atol=1e-6)
    moving = ops.convert_to_numpy(layer.moving_variance)
    np.testing.assert_allclose(moving, [4.0], atol=1e-6)
