import keras
import numpy as np
import pytest
from quantizer_arrays import numeric_gradient, random, to_numpy

from keras_bidalle.quantizers import SimVQ

K, C = 9, 4


def loss(z, w, constant, table):
    z0, w0 = constant
    e, e0 = table @ w, table @ w0
    codes = np.argmin(((z0[:, None] - e0) ** 2).sum(-1), -1)
    return np.mean((e[codes] - z0) ** 2) + 0.25 * np.mean((z - e0[codes]) ** 2)


def test_losses_and_gradients_are_those_of_the_equation(gradients):
    layer, z = SimVQ(K, C, seed=0), random(6, C)
    layer.ensure_built()
    table, w = to_numpy(layer.embedding), to_numpy(layer.projection)
    np.testing.assert_allclose(to_numpy(layer.codebook), table @ w, atol=1e-6)
    assert 0.3 < table.std() * C**0.5 < 2.0
    layer(z)
    expected = loss(z, w, (z, w), table)
    assert float(sum(layer.losses)) == pytest.approx(expected, rel=1e-4)

    grad_z, (grad_w,) = gradients(layer, z)
    of_z = numeric_gradient(lambda x: loss(x, w, (z, w), table), z)
    of_w = numeric_gradient(lambda x: loss(z, x, (z, w), table), w)
    np.testing.assert_allclose(grad_z, of_z, atol=1e-4)
    np.testing.assert_allclose(grad_w, of_w, atol=1e-4)


def test_the_table_stays_and_all_codes_move(autoencoder, clusters):
    layer = SimVQ(K, C, seed=0)
    model = autoencoder(layer)
    table, before = to_numpy(layer.embedding), to_numpy(layer.codebook)
    model.trainable = True
    model.fit(clusters[:32], clusters[:32], verbose=0)
    np.testing.assert_array_equal(to_numpy(layer.embedding), table)
    assert (np.abs(to_numpy(layer.codebook) - before).max(-1) > 0).all()


def test_a_codebook_may_be_given_and_revival_not():
    layer = SimVQ(K, C)
    layer.assign_codebook(random(K, C))
    np.testing.assert_allclose(
        to_numpy(layer.codebook), random(K, C), atol=1e-6
    )
    again = keras.layers.deserialize(keras.layers.serialize(layer))
    assert again.get_config() == layer.get_config()
    with pytest.raises(ValueError, match="do not move one by one"):
        SimVQ(K, C, revival_steps=3)
