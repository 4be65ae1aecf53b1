"""Tests of the functions that are compiled for inference."""

import keras
import numpy as np
from keras import ops

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


def test_static_values_are_given_by_keyword():
    layer = _dense()

    def scaled(x, times):
        assert isinstance(times, int)
        return layer(x) * times

    result = compiled(scaled, [layer], times=3)(ops.ones((1, 3)))
    np.testing.assert_allclose(ops.convert_to_numpy(result), [[9.0, 9.0]])


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
