"""Image tokenizers alone, of every kind, as a server has them."""

import io

import keras
import numpy as np
import pytest
from PIL import Image
from small_tokenizers import discrete_vae, rqvae, vqgan

from keras_bidalle.image_tokenizers import AugVAE
from keras_bidalle.quantizers import EMAVectorQuantizer

if keras.config.backend() != "tensorflow":
    pytest.skip("serving graphs are TensorFlow's own", allow_module_level=True)

import tensorflow as tf


def augvae():
    return AugVAE(
        EMAVectorQuantizer(12, 8, kmeans_steps=0, seed=0),
        image_shape=(16, 16, 3),
        num_levels=2,
        channels=8,
        channel_multipliers=(1, 1, 2),
        next_channel_multipliers=(1, 2),
        num_res_blocks=1,
        z_channels=8,
    )


@pytest.mark.parametrize("make", [vqgan, rqvae, discrete_vae, augvae])
def test_codes_and_pictures_are_those_of_the_tokenizer(make, tmp_path):
    tokenizer = make()
    folder = tokenizer.export_serving(tmp_path / "tokenizer")
    signatures = tf.saved_model.load(str(folder)).signatures
    assert set(signatures) == {
        "encode_image",
        "decode_codes",
        "serving_default",
    }
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (3, *tokenizer.image_shape)).astype("uint8")
    contents = []
    for image in images:
        file = io.BytesIO()
        Image.fromarray(image).save(file, "PNG")
        contents.append(file.getvalue())
    codes = signatures["encode_image"](image_bytes=tf.constant(contents))
    codes = codes["codes"].numpy()
    np.testing.assert_array_equal(codes, tokenizer.encode(images))
    files = signatures["decode_codes"](codes=tf.constant(codes))["image_bytes"]
    drawn = np.stack(
        [np.asarray(Image.open(io.BytesIO(file))) for file in files.numpy()]
    )
    expected = (tokenizer.decode(codes) + 1.0) * 127.5
    assert np.abs(drawn - expected).max() <= 1


def test_other_channels_than_three_are_refused(tmp_path):
    grey = vqgan(image_shape=(16, 16, 1))
    with pytest.raises(ValueError, match="3 channels"):
        grey.export_serving(tmp_path / "grey")
