import keras
import numpy as np
import pytest

from keras_bidalle.losses import PatchDiscriminator


def convolve(x, kernel, bias, stride):
    x = np.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)])
    size = (x.shape[1] - 4) // stride + 1
    out = np.zeros((len(x), size, size, kernel.shape[-1]))
    for i in range(size):
        for j in range(size):
            patch = x[:, i * stride : i * stride + 4, j * stride :][:, :, :4]
            out[:, i, j] = np.tensordot(patch, kernel, 3)
    return out + bias


def statement(layer, x, training):
    for i, conv in enumerate(layer.convolutions):
        stride = 2 if i < layer.num_layers else 1
        bias = np.array(conv.bias) if i == 0 else 0.0
        x = convolve(x, np.array(conv.kernel), bias, stride)
        if i:
            norm = layer.norms[i - 1]
            mean, variance = (
                (x.mean((0, 1, 2)), x.var((0, 1, 2)))
                if training
                else (
                    np.array(norm.moving_mean),
                    np.array(norm.moving_variance),
                )
            )
            x = (x - mean) / np.sqrt(variance + 1e-5)
            x = x * np.array(norm.gamma) + np.array(norm.beta)
        x = np.where(x > 0, x, 0.2 * x)
    return convolve(
        x, np.array(layer.logits.kernel), np.array(layer.logits.bias), 1
    )


@pytest.mark.parametrize("training", [False, True])
def test_logits_are_those_of_the_plain_statement(training):
    rng = np.random.default_rng(0)
    layer = PatchDiscriminator(num_layers=2, filters=4)
    layer.build((None, 16, 16, 3))
    for variable in layer.variables:
        if variable.dtype == "float32":
            noise = rng.uniform(0.2, 0.8, variable.shape)
            variable.assign(noise.astype("float32"))
    images = rng.uniform(-1, 1, (2, 16, 16, 3)).astype("float32")
    expected = statement(layer, images, training)
    logits = layer(images, training=training)
    assert logits.shape == layer.compute_output_shape(images.shape)
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(logits), expected, rtol=2e-4, atol=1e-4
    )


def test_moving_statistics_go_a_tenth_of_the_way():
    layer = PatchDiscriminator(num_layers=1, filters=4)
    images = np.random.default_rng(0).normal(size=(2, 16, 16, 3))
    layer(images.astype("float32"), training=False)
    np.testing.assert_array_equal(layer.norms[0].moving_mean, np.zeros(8))
    layer(images.astype("float32"), training=True)
    assert np.all(np.array(layer.norms[0].moving_variance) < 1.0)
    assert np.all(np.array(layer.norms[0].moving_variance) >= 0.9)


def test_a_picture_too_small_is_told_by_name():
    with pytest.raises(ValueError, match="`num_layers`.*num_layers=3"):
        PatchDiscriminator(num_layers=3).build((None, 16, 16, 3))


@pytest.mark.parametrize("name", ["num_layers", "filters"])
def test_sizes_must_be_positive(name):
    with pytest.raises(ValueError, match=f"`{name}`.*{name}=0"):
        PatchDiscriminator(**{name: 0})


def test_config_round_trip():
    layer = PatchDiscriminator(num_layers=1, filters=8, name="d")
    again = keras.saving.deserialize_keras_object(
        keras.saving.serialize_keras_object(layer)
    )
    assert again.get_config() == layer.get_config()
    assert (again.num_layers, again.filters) == (1, 8)
