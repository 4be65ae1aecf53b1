import keras
import numpy as np
import pytest
from small_runs import batch, small_model

from keras_bidalle.training import EvaluateAveraged, averaged_weights


def ema_model(wrap=lambda optimizer: optimizer):
    optimizer = keras.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.5)
    return small_model(wrap(optimizer))


def several(optimizer):
    mapped = {".*bias.*": keras.optimizers.SGD(0.1)}
    return keras.optimizers.MultiOptimizer(
        keras.optimizers.OptimizerMap(optimizer, mapped)
    )


WRAPS = {
    "plain": lambda optimizer: optimizer,
    "loss scale": keras.optimizers.LossScaleOptimizer,
    "several": several,
}


@pytest.mark.parametrize("wrap", WRAPS)
def test_weights_are_averages_inside_and_themselves_outside(wrap):
    model = ema_model(WRAPS[wrap])
    kernel = model.layers[0].kernel
    average, seen = None, []
    for step in range(3):
        model.train_on_batch(*batch(step))
        seen.append(keras.ops.convert_to_numpy(kernel).copy())
        # Equation: the first weights, then half of each.
        average = seen[-1] if step == 0 else (average + seen[-1]) / 2
    for _ in range(2):
        with averaged_weights(model):
            inside = keras.ops.convert_to_numpy(kernel).copy()
        np.testing.assert_allclose(inside, average, rtol=1e-5, atol=1e-7)
        np.testing.assert_array_equal(
            keras.ops.convert_to_numpy(kernel), seen[-1]
        )


def test_an_error_inside_puts_the_weights_back():
    model = ema_model()
    for step in range(2):
        model.train_on_batch(*batch(step))
    before = model.get_weights()
    with pytest.raises(KeyError), averaged_weights(model):
        raise KeyError
    for expected, found in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(expected, found)


def test_evaluation_and_prediction_see_averages_and_training_does_not():
    model = ema_model()
    x, y = batch(0)
    model.fit(
        x,
        y,
        epochs=2,
        verbose=0,
        validation_data=(x, y),
        callbacks=[EvaluateAveraged()],
    )
    # `fit` has put the averages in: move on from them.
    for step in range(2):
        model.train_on_batch(*batch(step))
    before = model.get_weights()
    plain = model.predict(x, verbose=0)
    averaged = model.predict(x, verbose=0, callbacks=[EvaluateAveraged()])
    assert np.abs(plain - averaged).max() > 1e-4
    loss = model.evaluate(x, y, verbose=0, callbacks=[EvaluateAveraged()])[0]
    np.testing.assert_allclose(loss, np.mean((averaged - y) ** 2), rtol=1e-4)
    for expected, found in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(expected, found)


def test_what_has_no_averages_is_refused():
    with pytest.raises(ValueError, match="use_ema=True"):
        with averaged_weights(small_model()):
            pass
    with pytest.raises(ValueError, match="for a step first"):
        with averaged_weights(ema_model()):
            pass
