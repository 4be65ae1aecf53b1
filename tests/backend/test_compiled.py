"""Tests of the functions that are compiled for inference."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_bidalle.backend import programs
from keras_bidalle.backend.compiled import compiled


def _dense(value=1.0):
    layer = keras.layers.Dense(2, kernel_initializer="ones")
    layer.build((None, 3))
    layer.kernel.assign(np.full((3, 2), value))
    return layer


def test_it_gives_what_the_function_gives():
    layer = _dense()
    function = compiled(lambda x: layer(x) + 1.0, [layer])
    result = function(ops.ones((4, 3)))
    np.testing.assert_allclose(ops.convert_to_numpy(result), np.full((4, 2), 4))


def test_it_sees_weights_that_changed_after_the_first_call():
    layer = _dense()
    function = compiled(layer, [layer])
    function(ops.ones((4, 3)))
    layer.kernel.assign(np.full((3, 2), 2.0))
    result = function(ops.ones((4, 3)))
    np.testing.assert_allclose(ops.convert_to_numpy(result), np.full((4, 2), 6))


def test_nested_arguments_and_other_shapes_are_fine():
    layer = _dense()
    function = compiled(lambda pair: layer(pair["a"]) + pair["b"], [layer])
    for rows in (1, 5):
        result = function({"a": ops.ones((rows, 3)), "b": ops.ones((rows, 2))})
        assert tuple(result.shape) == (rows, 2)


def test_no_gradients_are_recorded():
    layer = _dense()
    result = compiled(layer, [layer])(ops.ones((1, 3)))
    assert not getattr(result, "requires_grad", False)


compiles = pytest.mark.skipif(
    keras.config.backend() == "torch", reason="torch compiles nothing"
)


class Pair(keras.layers.Layer):
    """A layer that keeps others in a list, where they may be replaced."""

    def __init__(self):
        super().__init__()
        self.parts = [_dense(), keras.layers.Activation("linear")]
        self.scale = 1.0

    def call(self, x):
        for part in self.parts:
            x = part(x)
        return x * self.scale


def _replaced(pair):
    pair.parts[0] = _dense(5.0)


def _quantized(pair):
    pair.parts[0].kernel.assign(np.full((3, 2), 4.0))
    pair.parts[0].quantize("int8")


def _adapted(pair):
    pair.parts[0].enable_lora(1)
    pair.parts[0].lora_kernel_b.assign(np.ones((1, 2)))


def _with_another_activation(pair):
    pair.parts[1] = keras.layers.Activation("tanh")


def _scaled(pair):
    pair.scale = 2.0


@pytest.mark.parametrize(
    "change",
    [_replaced, _quantized, _adapted, _with_another_activation, _scaled],
)
def test_what_layers_compute_now_is_what_counts(change):
    pair = Pair()
    x = ops.ones((1, 3))
    function = compiled(pair, [pair])
    before = ops.convert_to_numpy(function(x))
    change(pair)
    after = ops.convert_to_numpy(function(x))
    assert np.abs(after - before).max() > 0.01
    np.testing.assert_allclose(after, ops.convert_to_numpy(pair(x)), rtol=1e-5)


@compiles
def test_it_is_traced_once_for_each_shape_of_those_used_last(monkeypatch):
    monkeypatch.setattr(programs, "MOST_PROGRAMS", 2)
    layer, traced = _dense(), []

    def function(x):
        traced.append(x.shape[0])
        return layer(x)

    function = compiled(function, [layer])
    for rows in (1, 2, 1, 3, 1, 2):
        function(ops.ones((rows, 3)))
        layer.kernel.assign(layer.kernel * 0.5)
    assert traced == [1, 2, 3, 2]
