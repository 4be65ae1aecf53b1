import keras
import numpy as np
from keras import ops

from keras_bidalle.losses import linearize, value_and_gradient


def test_value_and_gradient_are_those_of_the_function():
    x = np.array([1.0, -2.0, 3.0], "float32")
    value, gradient = value_and_gradient(lambda x: ops.sum(x**3), x)
    np.testing.assert_allclose(value, 20.0)
    np.testing.assert_allclose(gradient, 3 * x**2)


def test_gradient_is_zero_where_the_value_does_not_depend_on_x():
    _, gradient = value_and_gradient(
        lambda x: ops.convert_to_tensor(2.0), ops.ones((2, 3))
    )
    np.testing.assert_array_equal(gradient, np.zeros((2, 3)))


def test_both_results_are_constants_to_a_surrounding_gradient():
    def outer(x):
        value, slope = value_and_gradient(lambda x: ops.sum(x**2), x)
        return ops.sum(x) * value + ops.sum(slope)

    value, gradient = value_and_gradient(outer, ops.ones(3))
    np.testing.assert_allclose(value, 15.0)
    np.testing.assert_allclose(gradient, [3.0, 3.0, 3.0])


def test_linearized_loss_has_the_value_and_the_gradient_of_the_loss():
    def loss(x):
        return ops.mean(ops.exp(x) * x)

    x = np.linspace(-1, 1, 5).astype("float32")
    value, gradient = value_and_gradient(
        lambda x: 2.0 * linearize(loss, x)[0], x
    )
    np.testing.assert_allclose(value, 2 * np.mean(np.exp(x) * x), rtol=1e-6)
    np.testing.assert_allclose(gradient, 2 * np.exp(x) * (x + 1) / 5, rtol=1e-5)


def through_float16(x):
    return ops.cast(ops.cast(x, "float16"), "float32")


def test_small_slopes_pass_float16():
    # As of a mean over a batch of pictures; float16 ends at 6e-8.
    def loss(x):
        return 1e-9 * ops.sum(through_float16(x))

    x = np.ones((8, 256, 256, 1), "float32")
    _, gradient = value_and_gradient(loss, x)
    np.testing.assert_allclose(gradient, np.full_like(x, 1e-9), rtol=0.01)
    value, gradient = linearize(loss, x)
    np.testing.assert_allclose(value, 1e-9 * x.size, rtol=1e-5)
    np.testing.assert_allclose(gradient, np.full_like(x, 1e-9), rtol=0.01)


def test_the_scale_changes_no_bit_in_float32():
    x = np.random.default_rng(0).normal(size=(64, 64, 3)).astype("float32")

    def loss(x):
        return ops.mean(ops.tanh(x))

    for scale in (2.0**15, None):
        np.testing.assert_array_equal(
            value_and_gradient(loss, x, scale=scale)[1],
            value_and_gradient(loss, x, scale=1.0)[1],
        )


def test_a_gradient_that_overflows_makes_the_loss_no_number():
    value, gradient = linearize(
        lambda x: 1e6 * ops.sum(through_float16(x)), np.zeros(3, "float32")
    )
    assert not np.any(np.isfinite(ops.convert_to_numpy(gradient)))
    assert np.isnan(ops.convert_to_numpy(value))


def test_gradient_inside_the_loss_of_fit():
    class Model(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = keras.layers.Dense(1, use_bias=False)

        def call(self, x):
            return self.dense(x)

        def compute_loss(self, x, y, y_pred, sample_weight=None, training=True):
            value, gradient = value_and_gradient(
                lambda y: ops.sum(y**2), y_pred
            )
            return ops.mean(gradient * y_pred)  # 2 * y constant, times y

    model = Model()
    x = np.ones((4, 1), "float32")
    model(x)
    model.dense.kernel.assign([[1.0]])
    model.compile(optimizer=keras.optimizers.SGD(0.25))
    model.fit(x, batch_size=4, verbose=0)
    # The slope at y = 1 is 2 and is a constant, so the step is 0.25 * 2.
    np.testing.assert_allclose(model.dense.kernel, [[0.5]], rtol=1e-6)
    assert np.isfinite(model.evaluate(x, verbose=0))
