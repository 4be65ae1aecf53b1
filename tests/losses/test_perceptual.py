import keras
import numpy as np
import pytest
from keras import ops

from keras_bidalle import image_tokenizers, quantizers
from keras_bidalle.losses import LPIPS, value_and_gradient
from keras_bidalle.losses.perceptual import VGG16_BLOCKS, lpips_shapes


@pytest.fixture(scope="module")
def arrays():
    rng = np.random.default_rng(0)
    arrays = {}
    for name, shape in lpips_shapes().items():
        deviation = np.sqrt(2 / np.prod(shape[:-1])) if len(shape) > 1 else 0.1
        array = rng.normal(size=shape, scale=deviation)
        arrays[name] = array.astype("float32")
        if name.startswith("linear"):
            arrays[name] = np.abs(arrays[name])
    return arrays


@pytest.fixture(scope="module")
def weights(arrays, tmp_path_factory):
    path = tmp_path_factory.mktemp("lpips") / "lpips.npz"
    np.savez(path, **arrays)
    return path


def pictures(seed):
    rng = np.random.default_rng(seed)
    return rng.uniform(-1, 1, (2, 32, 32, 3)).astype("float32")


def convolve(x, kernel, bias):
    size = x.shape[1]
    padded = np.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)])
    return bias + sum(
        padded[:, i : i + size, j : j + size] @ kernel[i, j]
        for i in range(3)
        for j in range(3)
    )


def statement(arrays, real, fake):
    """Equation 1 of Zhang et al., in float64."""
    distance, a, b = 0.0, real.astype("float64"), fake.astype("float64")
    shift = np.array([-0.030, -0.088, -0.188])
    scale = np.array([0.458, 0.448, 0.450])
    a, b = (a - shift) / scale, (b - shift) / scale
    for number, names in enumerate(VGG16_BLOCKS, start=1):
        features = []
        for x in (a, b):
            if number > 1:
                n, size = len(x), x.shape[1] // 2
                x = x.reshape(n, size, 2, size, 2, -1).max((2, 4))
            for name in names:
                x = convolve(
                    x, arrays[f"{name}/kernel"], arrays[f"{name}/bias"]
                )
                x = np.maximum(x, 0)
            features.append(x)
        a, b = features
        unit = [
            x / (np.sqrt((x**2).sum(-1, keepdims=True)) + 1e-10)
            for x in features
        ]
        squares = (unit[0] - unit[1]) ** 2 @ arrays[f"linear{number}/kernel"]
        distance = distance + squares.mean((1, 2))
    return distance


def test_distance_is_that_of_the_paper(arrays, weights):
    real, fake = pictures(0), pictures(1)
    distance = LPIPS(weights)(real, fake)
    assert distance.shape == (2,)
    np.testing.assert_allclose(
        ops.convert_to_numpy(distance),
        statement(arrays, real, fake),
        rtol=1e-4,
    )


def test_equal_pictures_are_at_distance_zero(weights):
    np.testing.assert_array_equal(
        ops.convert_to_numpy(LPIPS(weights)(pictures(0), pictures(0))), 0.0
    )


def test_gradient_is_finite_where_features_vanish(arrays, tmp_path):
    dead = {**arrays, "conv1_2/bias": np.full(64, -1e6, "float32")}
    np.savez(tmp_path / "dead.npz", **dead)
    lpips = LPIPS(tmp_path / "dead.npz")
    real = pictures(0)
    _, gradient = value_and_gradient(
        lambda fake: ops.mean(lpips(real, fake)), pictures(1)
    )
    assert np.all(np.isfinite(ops.convert_to_numpy(gradient)))


def test_weights_are_fixed_and_not_written_into_checkpoints(weights, tmp_path):
    lpips = LPIPS(weights)
    assert not lpips.trainable_variables
    assert lpips.get_config()["weights"] == str(weights)
    inputs = keras.Input((32, 32, 3))
    model = keras.Model(inputs, lpips(inputs, -inputs))
    model.save_weights(tmp_path / "model.weights.h5")
    assert (tmp_path / "model.weights.h5").stat().st_size < 1e6
    model.load_weights(tmp_path / "model.weights.h5")


def test_config_round_trip(weights):
    lpips = LPIPS(weights)
    again = keras.saving.deserialize_keras_object(
        keras.saving.serialize_keras_object(lpips)
    )
    assert again.get_config() == lpips.get_config()


def test_no_weights_file_is_an_error_that_says_what_to_do(tmp_path):
    with pytest.raises(ValueError, match="convert_lpips"):
        LPIPS()
    with pytest.raises(ValueError, match="is not a file"):
        LPIPS(tmp_path / "absent.npz")
    (tmp_path / "broken.npz").write_bytes(b"PK\x03\x04 broken")
    with pytest.raises(ValueError, match="cannot be read"):
        LPIPS(tmp_path / "broken.npz")
    np.savez(tmp_path / "other.npz", x=np.zeros(3))
    with pytest.raises(ValueError, match="'conv1_1/kernel'.*nothing"):
        LPIPS(tmp_path / "other.npz")


def test_pictures_must_be_rgb(weights):
    with pytest.raises(ValueError, match="RGB"):
        LPIPS(weights)(np.zeros((1, 32, 32, 1)), np.zeros((1, 32, 32, 1)))


def test_a_saved_tokenizer_opens_where_the_weights_file_is_not(
    weights, tmp_path
):
    copy = tmp_path / "lpips.npz"
    copy.write_bytes(weights.read_bytes())
    tokenizer = image_tokenizers.PatchVQGAN(
        quantizers.VectorQuantizer(8, 4, seed=0),
        image_shape=(16, 16, 3),
        channels=8,
        hidden_channels=8,
        num_blocks=1,
    )
    tokenizer.compile("adam", perceptual=LPIPS(copy))
    images = pictures(0)[:, :16, :16]
    tokenizer.train_on_batch(images)
    tokenizer.save(tmp_path / "tokenizer.keras")
    keras.models.load_model(tmp_path / "tokenizer.keras")  # with its file

    copy.unlink()
    with pytest.warns(
        UserWarning, match="compile again: `weights`.*not a file"
    ):
        again = keras.models.load_model(tmp_path / "tokenizer.keras")
    np.testing.assert_array_equal(
        again.encode(images), tokenizer.encode(images)
    )
    with pytest.raises(ValueError, match="compile"):
        again.evaluate(images, verbose=0)
