import keras
import numpy as np
import pytest
from keras import ops
from quantizer_arrays import numeric_gradient, random, to_numpy, weighted

from keras_bidalle.quantizers import (
    DiVeQ,
    ResidualQuantizer,
    RotationTrick,
    VectorQuantizer,
)

K, C = 5, 4


def quantizer(gradient, **kwargs):
    layer = VectorQuantizer(K, C, gradient=gradient, **kwargs)
    layer.assign_codebook(random(K, C, seed=3))
    return layer


def rotated(z, z0, e):
    u = z0 / np.linalg.norm(z0, axis=-1, keepdims=True)
    v = e / np.linalg.norm(e, axis=-1, keepdims=True)
    r = (u + v) / np.linalg.norm(u + v, axis=-1, keepdims=True)
    scale = np.linalg.norm(e, axis=-1) / np.linalg.norm(z0, axis=-1)
    turned = (
        z
        - 2 * (z * r).sum(-1, keepdims=True) * r
        + 2 * (z * u).sum(-1, keepdims=True) * v
    )
    return scale[:, None] * turned


def test_the_rotation_trick_is_its_equation(gradients):
    layer, z, weights = (
        quantizer("rotation"),
        random(6, C),
        random(6, C, seed=1),
    )
    e = to_numpy(layer.decode(layer.encode(z)))
    np.testing.assert_allclose(rotated(z, z, e), e, atol=1e-5)
    np.testing.assert_allclose(to_numpy(layer(z)), e, atol=1e-6)
    grad, _ = gradients(layer, z, of=weighted(weights))
    expected = numeric_gradient(lambda x: np.sum(rotated(x, z, e) * weights), z)
    np.testing.assert_allclose(grad, expected, atol=1e-4)


def test_latents_without_a_rotation_have_finite_gradients(gradients):
    layer = quantizer("rotation")
    e = to_numpy(layer.codebook)[0]
    opposite = 1e-9 * random(3, C)
    layer.assign_codebook(np.stack([e] * K))
    z = np.concatenate([np.zeros((1, C)), opposite, -e[None]])
    np.testing.assert_allclose(to_numpy(layer(z)), np.stack([e] * 5), atol=1e-6)
    grad, _ = gradients(layer, z, of=lambda x, _: ops.sum(x**2))
    assert np.isfinite(grad).all() and np.abs(grad).max() < 1e3


def test_diveq_is_its_equation(gradients):
    layer = quantizer("diveq", commitment_weight=0.0, codebook_weight=0.0)
    z, weights = random(6, C), random(6, C, seed=1)
    codes = to_numpy(layer.encode(z))
    book = to_numpy(layer.codebook)

    def output(z0, book0, x, table):
        line = book0[codes] - z0
        line = line / np.linalg.norm(line, axis=-1, keepdims=True)
        length = np.linalg.norm(table[codes] - x, axis=-1, keepdims=True)
        return x + length * line

    np.testing.assert_allclose(to_numpy(layer(z)), book[codes], atol=1e-5)
    assert float(sum(layer.losses)) == 0.0
    grad_z, (grad_e,) = gradients(layer, z, of=weighted(weights))
    of_z = numeric_gradient(
        lambda x: np.sum(output(z, book, x, book) * weights), z
    )
    of_e = numeric_gradient(
        lambda e: np.sum(output(z, book, z, e) * weights), book
    )
    np.testing.assert_allclose(grad_z, of_z, atol=1e-4)
    np.testing.assert_allclose(grad_e, of_e, atol=1e-4)
    # Latents that are codes have finite gradients too.
    grad, _ = gradients(layer, book, of=lambda x, _: ops.sum(x**2))
    assert np.isfinite(grad).all()


def test_the_noise_of_diveq_is_of_training_alone():
    layer, z = quantizer(DiVeQ(noise=0.1, seed=0)), random(50, C)
    exact = to_numpy(layer.decode(layer.encode(z)))
    np.testing.assert_allclose(to_numpy(layer(z)), exact, atol=1e-5)
    noisy = to_numpy(layer(z, training=True))
    assert 1e-3 < np.abs(noisy - exact).max() < 1.0
    assert np.abs(to_numpy(layer(z, training=True)) - noisy).max() > 1e-4


@pytest.mark.parametrize("gradient", ["rotation", "diveq"])
def test_estimators_are_saved_and_train_in_residual_quantizers(
    gradient, autoencoder, clusters
):
    layer = ResidualQuantizer(
        VectorQuantizer(K, C, seed=0), code_depth=2, gradient=gradient
    )
    model = autoencoder(layer, learning_rate=1e-2)
    losses = model.fit(
        clusters[:64], clusters[:64], epochs=4, verbose=0
    ).history["loss"]
    assert losses[-1] < losses[0]
    again = keras.layers.deserialize(keras.layers.serialize(layer))
    assert type(again.gradient) in (RotationTrick, DiVeQ)
    assert again.get_config() == layer.get_config()
