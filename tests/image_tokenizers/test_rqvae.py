"""Tests of the tokenizer with stacks of codes."""

import keras
import numpy as np
import pytest
from few_steps import FEW_STEPS
from keras import ops
from small_tokenizers import rqvae, uint8_images, vqgan


def test_the_first_codes_of_each_stack_are_a_coarser_picture():
    model, images = rqvae(), uint8_images(3)
    codes = model.encode(images)
    for depth in (1, 2, 3):
        part = model.decode(codes[..., :depth])
        latents = model.quantizer.decode(codes[..., :depth])
        expected = model.decoder(model.from_quantized(latents))
        np.testing.assert_allclose(
            part, np.clip(ops.convert_to_numpy(expected), -1, 1), atol=1e-5
        )
        np.testing.assert_array_equal(
            part, model.reconstruct(images, depth=depth)
        )
    np.testing.assert_array_equal(part, model.reconstruct(images))


@pytest.mark.parametrize("depth", [0, 4])
def test_there_is_no_depth_beyond_the_quantizers(depth):
    model, images = rqvae(), uint8_images(1)
    with pytest.raises(ValueError, match="`depth`"):
        model.reconstruct(images, depth=depth)
    codes = np.zeros((1, 8, 8, depth), "int32")
    with pytest.raises(ValueError, match="`codes` must have shape"):
        model.decode(codes)


def test_a_tokenizer_with_one_code_a_place_has_no_depth():
    with pytest.raises(ValueError, match="`depth`"):
        vqgan().reconstruct(uint8_images(1), depth=1)


@pytest.mark.parametrize("shape", [(16, 24, 3), (8, 8, 1)])
@pytest.mark.parametrize("shared", [True, False])
def test_any_grid_and_depth(shape, shared):
    model = rqvae(depth=2, shared=shared, image_shape=shape)
    assert model.code_shape == (shape[0] // 2, shape[1] // 2, 2)
    assert len(model.quantizer.quantizers) == (1 if shared else 2)
    codes = model.encode(np.zeros((1, *shape), "uint8"))
    assert codes.shape == (1, *model.code_shape)
    assert model.decode(codes).shape == (1, *shape)


def test_plain_fit_lowers_the_loss_and_keeps_codes_alive():
    images = uint8_images(16)
    model = rqvae()
    model.compile(keras.optimizers.Adam(3e-3), reconstruction_loss="l2")
    history = model.fit(images, batch_size=8, epochs=5, verbose=0).history
    assert history["loss"][-1] < 0.8 * history["loss"][0]
    assert history["codebook_usage"][-1] > 0.5


def test_codebooks_stay_in_float32_under_mixed_precision():
    model = rqvae(dtype="mixed_bfloat16")
    model.compile("adam", reconstruction_loss="l2", **FEW_STEPS)
    logs = model.fit(uint8_images(2), batch_size=2, verbose=0).history
    assert np.isfinite(logs["loss"]).all()
    (codebook,) = model.quantizer.quantizers
    assert codebook.embedding.dtype == "float32"
