"""Tests of what all image tokenizers promise."""

import os
import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import ops
from small_tokenizers import (
    as_float,
    patch_vqgan,
    residual_patch_vqgan,
    rqvae,
    uint8_images,
    vqgan,
)

import keras_bidalle
from keras_bidalle.image_tokenizers import (
    AugVAE,
    ImageTokenizer,
    OpenMAGVIT2,
)
from keras_bidalle.quantizers import LFQ, EMAVectorQuantizer


def open_magvit2(quantizer=..., **kwargs):
    quantizer = LFQ(4) if quantizer is ... else quantizer
    return OpenMAGVIT2(quantizer, (16, 16, 3), channels=8, **kwargs)


def augvae(**kwargs):
    return AugVAE(EMAVectorQuantizer(12, 8), (16, 16, 3), channels=8, **kwargs)


MODELS = [patch_vqgan, vqgan, residual_patch_vqgan, rqvae]


@pytest.mark.parametrize("make", MODELS)
def test_encode_decode_and_reconstruct_have_the_promised_shapes(make):
    model = make()
    images = uint8_images(3)
    codes = model.encode(images)
    assert isinstance(codes, np.ndarray) and codes.dtype == np.int32
    assert codes.shape == (3, *model.code_shape)
    assert codes.min() >= 0 and codes.max() < model.num_codes
    pictures = model.decode(codes)
    assert isinstance(pictures, np.ndarray) and pictures.dtype == np.float32
    assert pictures.shape == (3, 16, 16, 3)
    assert np.abs(pictures).max() <= 1.0
    np.testing.assert_array_equal(model.reconstruct(images), pictures)


@pytest.mark.parametrize("make", MODELS)
def test_decoding_the_codes_is_the_models_reconstruction(make):
    model = make()
    images = as_float(uint8_images(3))
    expected = ops.convert_to_numpy(model(images, training=False))
    np.testing.assert_allclose(
        model.reconstruct(images), np.clip(expected, -1, 1), atol=1e-5
    )


def test_any_number_of_pictures_in_batches_of_any_size():
    model = patch_vqgan()
    images = uint8_images(7)
    codes = model.encode(images)
    np.testing.assert_array_equal(model.encode(images, batch_size=3), codes)
    np.testing.assert_array_equal(model.encode(images[4:5]), codes[4:5])
    pictures = model.decode(codes)
    np.testing.assert_allclose(
        model.decode(codes, batch_size=2), pictures, atol=1e-5
    )
    assert model.encode(images[:0]).shape == (0, 4, 4)
    assert model.decode(codes[:0]).shape == (0, 16, 16, 3)


def test_uint8_and_float_pictures_are_the_same_pictures():
    model = patch_vqgan()
    images = uint8_images(3)
    floats = as_float(images)
    np.testing.assert_array_equal(model.encode(images), model.encode(floats))
    np.testing.assert_array_equal(
        ops.convert_to_numpy(model(ops.convert_to_tensor(images))),
        ops.convert_to_numpy(model(ops.convert_to_tensor(floats))),
    )
    model.compile("adam")
    found = [
        model.evaluate(x, batch_size=3, verbose=0, return_dict=True)["loss"]
        for x in (images, floats)
    ]
    np.testing.assert_allclose(found[0], found[1], rtol=1e-5)


def test_encode_sees_what_training_changed():
    model = patch_vqgan()
    images = uint8_images(3)
    model.decode(model.encode(images))
    before = model.reconstruct(images)
    model.compile(keras.optimizers.SGD(0.1))
    model.fit(images, batch_size=3, verbose=0)
    fresh = type(model).from_config(model.get_config())
    for old, new in zip(model.stages, fresh.stages, strict=True):
        new.set_weights(old.get_weights())
    assert not np.array_equal(model.reconstruct(images), before)
    np.testing.assert_allclose(
        model.reconstruct(images), fresh.reconstruct(images), atol=1e-5
    )


@pytest.mark.parametrize(
    "images, error, match",
    [
        (np.zeros((2, 9, 16, 3), "uint8"), ValueError, "multiples of 4"),
        (np.zeros((16, 16, 3), "uint8"), ValueError, r"images\[None\]"),
        (np.zeros((2, 16, 16, 1), "uint8"), ValueError, "must have shape"),
        (np.zeros((2, 16, 16, 3), "int64"), TypeError, "must be uint8"),
        (np.full((2, 16, 16, 3), 200.0), ValueError, r"lie in \[-1, 1\]"),
        (np.full((2, 16, 16, 3), np.nan), ValueError, "finite"),
    ],
)
def test_wrong_pictures_are_refused(images, error, match):
    with pytest.raises(error, match=match):
        patch_vqgan().encode(images)


@pytest.mark.parametrize(
    "codes, error, match",
    [
        (np.full((1, 4, 4), 12), ValueError, r"lie in \[0, 12\)"),
        (np.full((1, 4, 4), -1), ValueError, r"lie in \[0, 12\)"),
        (np.zeros((1, 4, 0), "int32"), ValueError, "must have shape"),
        (np.zeros((4, 4), "int32"), ValueError, "must have shape"),
        (np.zeros((1, 4, 4), "float32"), TypeError, "must be integers"),
    ],
)
def test_wrong_codes_are_refused(codes, error, match):
    with pytest.raises(error, match=match):
        patch_vqgan().decode(codes)


def test_sides_must_be_multiples_of_the_factor():
    with pytest.raises(ValueError, match="`image_shape`.*multiples of 4"):
        patch_vqgan(image_shape=(18, 16, 3))


@pytest.mark.parametrize("make", MODELS)
def test_the_config_makes_the_same_model(make):
    model = make()
    config = model.get_config()
    twin = type(model).from_config(config)
    assert twin.get_config() == config
    assert [v.shape for v in twin.weights] == [v.shape for v in model.weights]


def test_a_tokenizer_may_be_put_together_from_parts():
    whole = patch_vqgan()
    model = ImageTokenizer(
        encoder=whole.encoder,
        quantizer=whole.quantizer,
        decoder=whole.decoder,
        image_shape=(16, 16, 3),
    )
    images = uint8_images()
    np.testing.assert_array_equal(model.encode(images), whole.encode(images))
    twin = ImageTokenizer.from_config(model.get_config())
    assert twin.code_shape == model.code_shape


@pytest.mark.parametrize("make", MODELS)
def test_saved_models_give_the_same_codes(make, tmp_path):
    model = make()
    images = uint8_images()
    codes = model.encode(images)
    model.compile("adam", reconstruction_loss={"l2": 1.0, "l1": 0.2})
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert isinstance(loaded.optimizer, keras.optimizers.Adam)
    np.testing.assert_array_equal(loaded.encode(images), codes)
    model.save_to_preset(tmp_path / "preset")
    loaded = keras_bidalle.load(tmp_path / "preset")
    assert type(loaded) is type(model)
    np.testing.assert_array_equal(loaded.encode(images), codes)


OTHER_BACKEND = """
import sys
import numpy as np
import keras_bidalle

folder = sys.argv[1]
model = keras_bidalle.load(folder + "/preset")
codes = model.encode(np.load(folder + "/images.npy"))
assert np.array_equal(codes, np.load(folder + "/codes.npy"))
pictures = np.load(folder + "/pictures.npy")
assert np.allclose(model.decode(codes), pictures, atol=1e-4)
"""


def test_a_preset_gives_the_same_in_another_process_and_backend(tmp_path):
    model = vqgan()
    images = uint8_images()
    codes = model.encode(images)
    model.save_to_preset(tmp_path / "preset")
    np.save(tmp_path / "images.npy", images)
    np.save(tmp_path / "codes.npy", codes)
    np.save(tmp_path / "pictures.npy", model.decode(codes))
    other = "torch" if keras.config.backend() == "jax" else "jax"
    subprocess.run(
        [sys.executable, "-c", OTHER_BACKEND, str(tmp_path)],
        env={**os.environ, "KERAS_BACKEND": other},
        cwd=pathlib.Path(keras_bidalle.__file__).parents[1],
        check=True,
    )


def test_a_constructor_freezes_the_quantizer_too():
    quantizer = EMAVectorQuantizer(12, 8, kmeans_steps=0)
    model = patch_vqgan(quantizer=quantizer, trainable=False)
    before = ops.convert_to_numpy(quantizer.codebook).copy()
    model(as_float(uint8_images(3)), training=True)
    np.testing.assert_array_equal(
        before, ops.convert_to_numpy(quantizer.codebook)
    )
    assert model.trainable_weights == []
    # A part that is frozen alone stays so.
    quantizer = EMAVectorQuantizer(12, 8, trainable=False)
    assert patch_vqgan(quantizer=quantizer).trainable
    assert not quantizer.trainable


@pytest.mark.parametrize(
    "make, arguments",
    [
        (patch_vqgan, {"num_blocks": -3}),
        (patch_vqgan, {"num_blocks": True}),
        (patch_vqgan, {"image_shape": (16.9, 16.2, 3)}),
        (patch_vqgan, {"image_shape": (16, 16, 0)}),
        (patch_vqgan, {"image_shape": 16}),
        (patch_vqgan, {"quantizer": "vq"}),
        (vqgan, {"num_res_blocks": -1}),
        (vqgan, {"channels": -8}),
        (vqgan, {"z_channels": 0}),
        (vqgan, {"channel_multipliers": ()}),
        (vqgan, {"channel_multipliers": "12"}),
        (vqgan, {"attention_resolutions": "16"}),
        (vqgan, {"attention_resolutions": 16}),
        (vqgan, {"dropout": 1.0}),
        (vqgan, {"dropout": float("nan")}),
        (open_magvit2, {"num_res_blocks": 0}),
        (open_magvit2, {"channel_multipliers": ()}),
        (open_magvit2, {"quantizer": None}),
        (augvae, {"channel_multipliers": "12"}),
        (augvae, {"num_res_blocks": -1}),
        (augvae, {"attention": "no"}),
    ],
)
def test_nonsense_is_told_before_a_model_is_made(make, arguments):
    (name,) = arguments
    with pytest.raises(ValueError, match=f"`{name}` must .*Received"):
        make(**arguments)


@pytest.mark.parametrize("depth", [0, 3, 1.0, True, "1"])
def test_a_depth_is_an_integer_among_those_there_are(depth):
    with pytest.raises(ValueError, match="`depth` must be an integer"):
        residual_patch_vqgan().reconstruct(uint8_images(1), depth=depth)
