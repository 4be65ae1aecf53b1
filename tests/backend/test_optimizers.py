"""Private names of Keras' optimizers still mean what they meant in 3.15."""

import keras
import numpy as np
from keras import ops

from keras_bidalle.backend.optimizers import (
    averages,
    inner_optimizers,
    keeps_averages,
)


def weight():
    return keras.Variable(np.ones(2, "float32"))


def test_optimizers_are_found_in_one_another():
    parts = [keras.optimizers.SGD(), keras.optimizers.Adam()]
    first, second = weight(), weight()
    multi = keras.optimizers.MultiOptimizer(
        lambda variable: parts[0 if variable is first else 1]
    )
    multi.build([first, second])
    assert inner_optimizers(multi) == parts
    scaled = keras.optimizers.LossScaleOptimizer(parts[1])
    assert inner_optimizers(scaled) == [parts[1]]
    assert inner_optimizers(parts[0]) == []


def test_averages_are_found_beside_their_weights():
    trained = weight()
    inner = keras.optimizers.SGD(1.0, use_ema=True, ema_momentum=0.5)
    optimizer = keras.optimizers.LossScaleOptimizer(inner, initial_scale=1.0)
    assert keeps_averages(optimizer)
    assert not keeps_averages(keras.optimizers.SGD())
    optimizer.build([trained])
    inner.apply([ops.ones(2)], [trained])
    inner.apply([ops.ones(2)], [trained])
    ((found, average),) = averages(optimizer)
    assert found is trained
    # -1 after two steps; (1 + 0) / 2 and then (0.5 - 1) / 2 on average.
    np.testing.assert_allclose(ops.convert_to_numpy(found), -1.0)
    values = ops.convert_to_numpy(average)
    assert np.all(values > -1.0) and np.all(values < 1.0)
