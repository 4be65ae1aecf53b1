"""Tests of the tokenizer with levels, and of the one made of it."""

import keras
import numpy as np
import pytest
from few_steps import FEW_STEPS
from keras import ops
from small_tokenizers import as_float

from keras_bidalle.image_tokenizers import AugVAE, SingleLevelAugVAE
from keras_bidalle.quantizers import EMAVectorQuantizer, VectorQuantizer


def augvae(**kwargs):
    """Levels of 4x4, 2x2 and 1x1 codes of 8x8 images."""
    arguments = {
        "image_shape": (8, 8, 3),
        "num_levels": 3,
        "channels": 8,
        "channel_multipliers": (1, 2),
        "next_channel_multipliers": (1, 2),
        "num_res_blocks": 1,
        "z_channels": 6,
        **kwargs,
    }
    quantizer = arguments.pop(
        "quantizer", EMAVectorQuantizer(16, 4, kmeans_steps=4, seed=0)
    )
    return AugVAE(quantizer, **arguments)


def shapes(count=32, side=8):
    """Images of a bright rectangle anywhere on a dark ground, uint8."""
    rng = np.random.default_rng(0)
    images = np.zeros((count, side, side, 3), "uint8")
    for image in images:
        (top, bottom), (left, right) = np.sort(rng.integers(0, side, (2, 2)))
        image[top : bottom + 1, left : right + 1] = rng.integers(64, 256, 3)
    return images


def to_numpy(x):
    return np.asarray(ops.convert_to_numpy(ops.convert_to_tensor(x)))


def test_codes_are_one_sequence_from_fine_to_coarse():
    model, images = augvae(image_shape=(8, 16, 3)), shapes(3, 16)[:, :8]
    assert model.level_shapes == ((4, 8), (2, 4), (1, 2))
    assert model.code_shape == (42,)
    codes = model.encode(images)
    assert codes.shape == (3, 42) and codes.dtype == np.int32
    levels = model.split_levels(codes)
    assert [level.shape for level in levels] == [
        (3, 4, 8),
        (3, 2, 4),
        (3, 1, 2),
    ]
    np.testing.assert_array_equal(model.join_levels(levels), codes)
    np.testing.assert_array_equal(levels[1][:, 1, 2], codes[:, 32 + 4 + 2])
    latents = model.to_latents(ops.convert_to_tensor(as_float(images)))
    for level, latent in zip(levels, latents, strict=True):
        np.testing.assert_array_equal(
            level, to_numpy(model.codebook.encode(latent))
        )
    assert model.decode(codes).shape == images.shape
    with pytest.raises(ValueError, match="`levels`"):
        model.join_levels(levels[:2])
    with pytest.raises(ValueError, match="`codes` must have shape"):
        model.split_levels(codes[:, :41])


def test_the_loss_is_the_sum_of_each_levels_commitment():
    model = augvae(
        quantizer=EMAVectorQuantizer(
            16, 4, kmeans_steps=0, revival_share=0.0, seed=0
        )
    )
    latents = model.to_latents(ops.convert_to_tensor(as_float(shapes(2))))
    expected, counts = 0.0, np.zeros(16)
    for latent in latents:
        codes = to_numpy(model.codebook.encode(latent))
        error = to_numpy(latent) - to_numpy(model.codebook.codebook)[codes]
        expected += 0.25 * np.mean(error**2)
        counts += np.bincount(codes.ravel(), minlength=16)
    model.quantizer(latents, training=False)
    (loss,) = model.quantizer.losses
    np.testing.assert_allclose(to_numpy(loss), expected, rtol=1e-5)
    np.testing.assert_array_equal(
        to_numpy(model.quantizer.epoch_counts), counts
    )
    assert not to_numpy(model.codebook.cluster_size).any()
    # Once for each level.
    model.quantizer(latents, training=True)
    total = to_numpy(model.codebook.cluster_size).sum()
    np.testing.assert_allclose(
        total, 0.01 * (32 * 0.99**2 + 8 * 0.99 + 2), rtol=1e-4
    )


def test_a_single_level_starts_with_the_multi_levels_weights():
    model = augvae()
    single = model.to_single_level(level=1)
    assert single.code_shape == (2, 2) and single.num_codes == 16
    images = ops.convert_to_tensor(as_float(shapes(3)))
    latents = model.to_latents(images)
    np.testing.assert_allclose(
        to_numpy(single.to_latents(images)), to_numpy(latents[1]), atol=1e-5
    )
    # What the multi-level's decoders make without the other levels.
    quantized = model.codebook.decode(single.encode(to_numpy(images)))
    levels = [ops.zeros_like(latents[0]), quantized, latents[2]]
    given = list(model.from_quantized(tuple(levels)))
    given[0] = ops.zeros_like(given[0])
    x = ops.concatenate([given[1], ops.zeros_like(given[1])], axis=-1)
    x = ops.concatenate(
        [given[0], model.decoder.decoders[1](x, training=False)], axis=-1
    )
    expected = model.decoder.decoders[2](x, training=False)
    np.testing.assert_allclose(
        single.reconstruct(to_numpy(images)),
        np.clip(to_numpy(expected), -1, 1),
        atol=1e-3,
    )


@pytest.mark.parametrize("level, grid", [(0, (4, 4)), (2, (1, 1))])
def test_any_level_can_be_the_one(level, grid):
    model = augvae(dtype="mixed_bfloat16")
    single = model.to_single_level(level)
    assert single.code_shape == grid
    codes = single.encode(shapes(2))
    assert codes.shape == (2, *grid)
    assert single.decode(codes).shape == (2, 8, 8, 3)
    before = to_numpy(model.codebook.codebook).copy()
    single.compile("adam", reconstruction_loss="l2", **FEW_STEPS)
    single.fit(shapes(2), batch_size=2, verbose=0)
    np.testing.assert_array_equal(to_numpy(model.codebook.codebook), before)
    with pytest.raises(ValueError, match="`level`"):
        model.to_single_level(level=3)


def test_training_first_on_all_levels_and_then_on_one_lowers_the_loss():
    images = shapes()

    def fit(model):
        model.compile(keras.optimizers.Adam(4e-3), reconstruction_loss="l2")
        history = model.fit(images, batch_size=16, epochs=6, verbose=0).history
        return history["reconstruction_loss"]

    model = augvae(num_levels=2)
    losses = fit(model)
    assert losses[-1] < 0.8 * losses[0]
    losses = fit(model.to_single_level(level=1))
    assert losses[-1] < 0.8 * losses[0]


def test_finer_levels_are_quantized_too_where_asked():
    plain = augvae().to_single_level(level=1)
    config = plain.get_config() | {"quantize_finer_levels": True}
    model = SingleLevelAugVAE.from_config(config)
    assert model.quant_conv.bias.shape == (2, 4)
    latents = model.to_latents(ops.convert_to_tensor(as_float(shapes(2))))
    model.quantizer(latents, training=False)
    # 4x4 and 2x2 codes of two images.
    assert to_numpy(model.quantizer.epoch_counts).sum() == 2 * (16 + 4)
    assert model.encode(shapes(2)).shape == (2, 2, 2)
    model.compile("adam")
    assert np.isfinite(model.evaluate(shapes(2), batch_size=2, verbose=0)[0])


@pytest.mark.parametrize("attention", [False, True])
def test_attention_stands_at_the_size_of_the_codes(attention):
    model = augvae(attention=attention)
    for half in (*model.encoder.encoders, *model.decoder.decoders):
        levels = half.down if hasattr(half, "down") else half.up
        assert [bool(level.attn) for level in levels] == [False, attention]
        assert (half.mid.attn_1 is not None) == attention


def test_any_codebook_will_do_and_nothing_else():
    model = augvae(quantizer=VectorQuantizer(16, 4))
    model.compile("adam", **FEW_STEPS)
    logs = model.fit(shapes(2), batch_size=2, verbose=0).history
    assert np.isfinite(logs["loss"]).all()
    with pytest.raises(ValueError, match="`quantizer`"):
        augvae(quantizer=model.quantizer)
    with pytest.raises(ValueError, match="`num_levels`"):
        augvae(num_levels=0)
    with pytest.raises(ValueError, match="`image_shape`.*multiples of 8"):
        augvae(image_shape=(12, 8, 3))


@pytest.mark.parametrize("level", [None, 1])
def test_config_and_file_make_the_same_model(level, tmp_path):
    model = augvae()
    if level is not None:
        model = model.to_single_level(level)
    config = model.get_config()
    twin = type(model).from_config(config)
    assert twin.get_config() == config
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    images = shapes(3)
    np.testing.assert_array_equal(loaded.encode(images), model.encode(images))
    np.testing.assert_array_equal(
        loaded.reconstruct(images), model.reconstruct(images)
    )
