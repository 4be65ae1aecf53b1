"""DALL-E's discrete VAE against its equations, and as a tokenizer."""

import keras
import numpy as np
import pytest
from few_steps import FEW_STEPS
from keras import ops
from numpy_discrete_vae import numpy_halves, to_numpy
from small_generators import fitting_generator
from small_tokenizers import as_float, discrete_vae, uint8_images

import keras_bidalle
from keras_bidalle import TextImageModel, configurations
from keras_bidalle.generators import PatchBidirectionalTransformer
from keras_bidalle.image_tokenizers import DiscreteVAE, DiscreteVAEEncoder
from keras_bidalle.losses import AdversarialLoss, PatchDiscriminator
from keras_bidalle.quantizers import GumbelQuantizer, VectorQuantizer
from keras_bidalle.tasks.mnist64 import caption_grammar, grammar_tokenizer


def gumbel(beta, **kwargs):
    """With the divergence's weight in the evidence lower bound."""
    return GumbelQuantizer(
        12, 6, input_dim=32, kl_weight=beta / 48, seed=0, **kwargs
    )


def test_the_architecture_is_the_papers():
    model = discrete_vae(num_res_blocks=2)
    images = as_float(uint8_images(2))
    logits, statistics = numpy_halves(model, images, gain=1 / 6**2)
    found = model.quantizer.logits(model.to_latents(images))
    np.testing.assert_allclose(to_numpy(found), logits, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(
        to_numpy(model.statistics(images)), statistics, rtol=1e-4, atol=1e-5
    )
    np.testing.assert_array_equal(model.encode(images), logits.argmax(-1))


def test_the_defaults_are_the_published_configuration():
    # At a tenth of the width, to be built in a moment.
    model = DiscreteVAE(GumbelQuantizer(16, 128, input_dim=192), channels=24)
    assert model.code_shape == (32, 32)
    widths = [block.filters for block in model.encoder.bottlenecks]
    assert widths == [24, 24, 48, 48, 96, 96, 192, 192]
    widths = [block.filters for block in model.decoder.bottlenecks]
    assert widths == [192, 192, 96, 96, 48, 48, 24, 24]
    assert model.encoder.conv_in.kernel_size == (7, 7)
    assert {block.gain for block in model.decoder.bottlenecks} == {1 / 64}
    assert model.decoder.conv_out.filters == 6
    # What the logits are read from needs no convolution of its own.
    assert model.quant_conv is None
    _, published = configurations.tokenizer("dall-e-dvae")
    assert published["channels"] == 256
    assert published["quantizer"] == configurations.serialized(
        GumbelQuantizer,
        {
            "num_codes": 8192,
            "code_dim": 128,
            "input_dim": 2048,
            "kl_weight": 6.6 / 192,
        },
    )


def test_reconstruct_shows_the_sigmoid_of_mu():
    model = discrete_vae()
    images = as_float(uint8_images(3))
    mu = to_numpy(model.statistics(images))[..., :3].astype("float64")
    expected = np.clip((1 / (1 + np.exp(-mu)) - 0.1) / 0.8, 0, 1) * 2 - 1
    np.testing.assert_allclose(model.reconstruct(images), expected, atol=1e-5)
    np.testing.assert_allclose(to_numpy(model(images)), expected, atol=1e-5)


def test_the_loss_is_the_evidence_lower_bound_over_the_number_of_values():
    model = discrete_vae(gumbel(beta=3.0))
    images = as_float(uint8_images(3))
    model.compile("sgd")
    logs = model.evaluate(images, batch_size=3, verbose=0, return_dict=True)
    mu, log_b = np.split(to_numpy(model.statistics(images)), 2, axis=-1)
    x, b = 0.8 * (images + 1) / 2 + 0.1, np.exp(log_b)
    density = np.exp(-np.abs(np.log(x / (1 - x)) - mu) / b)
    log_likelihood = np.log(density / (2 * b * x * (1 - x)))
    logits = to_numpy(model.quantizer.logits(model.to_latents(images)))
    odds = np.exp(logits - logits.max(-1, keepdims=True))
    odds = odds / odds.sum(-1, keepdims=True)
    divergence = np.sum(odds * np.log(odds * 12), axis=(1, 2, 3))
    bound = log_likelihood.sum((1, 2, 3)) - 3.0 * divergence
    expected = -bound.mean() / (16 * 16 * 3)
    assert logs["loss"] == pytest.approx(expected, rel=1e-4)
    assert logs["reconstruction_loss"] == pytest.approx(
        -log_likelihood.mean(), rel=1e-4
    )


def test_it_learns_by_plain_fit():
    model = discrete_vae(gumbel(beta=0.1))
    images = uint8_images(8)
    model.compile(keras.optimizers.Adam(2e-2))
    logs = model.fit(images, batch_size=8, epochs=60, verbose=0).history
    assert logs["loss"][-1] < logs["loss"][0] - 0.1
    assert np.isfinite(logs["loss"]).all()
    # Also the codebook and the logits, through the mixtures.
    quantizer = model.quantizer
    trained = {id(variable) for variable in model.trainable_variables}
    assert id(quantizer.embedding) in trained
    before = to_numpy(quantizer.projection.kernel).copy()
    codes = to_numpy(quantizer.embedding).copy()
    model.fit(images, batch_size=8, verbose=0)
    assert np.abs(to_numpy(quantizer.projection.kernel) - before).max() > 0
    assert np.abs(to_numpy(quantizer.embedding) - codes).max() > 0


def test_other_losses_and_a_discriminator_are_possible():
    images = uint8_images(2)
    adversarial = AdversarialLoss(PatchDiscriminator(1, 4))
    model = discrete_vae()
    with pytest.raises(ValueError, match="`adversarial` needs a"):
        model.compile("adam", adversarial=adversarial)
    model.compile(
        "adam",
        reconstruction_loss="l1",
        adversarial=adversarial,
        **FEW_STEPS,
    )
    logs = model.fit(images, batch_size=2, verbose=0).history
    assert np.isfinite(logs["loss"]).all()
    model = discrete_vae()
    model.compile(
        "adam",
        perceptual=lambda real, fake: ops.mean(ops.square(real - fake)),
        perceptual_weight=0.5,
        **FEW_STEPS,
    )
    logs = model.evaluate(images, batch_size=2, verbose=0, return_dict=True)
    assert logs["loss"] == pytest.approx(
        logs["reconstruction_loss"]
        + 0.5 * logs["perceptual_loss"]
        + logs["quantizer_loss"],
        rel=1e-4,
    )


def test_pictures_of_other_sizes_have_codes_too():
    model = discrete_vae()
    images = uint8_images(2, side=24)[:, :, :16]
    codes = model.encode(images)
    assert model.code_shape == (4, 4) and codes.shape == (2, 6, 4)
    assert model.decode(codes).shape == (2, 24, 16, 3)
    assert model.reconstruct(images).shape == (2, 24, 16, 3)
    assert model.encode(images[:0]).shape == (0, 6, 4)
    with pytest.raises(ValueError, match="multiples of 4.*18"):
        model.encode(np.zeros((2, 18, 16, 3), "uint8"))
    with pytest.raises(ValueError, match="must have shape"):
        model.encode(np.zeros((2, 16, 16, 1), "uint8"))
    with pytest.raises(ValueError, match="must have shape"):
        model.decode(np.zeros((4, 4), "int32"))
    with pytest.raises(ValueError, match=r"lie in \[0, 12\)"):
        model.decode(np.full((1, 4, 4), 12))


def test_a_generator_takes_pictures_of_its_own_size_only():
    captions = grammar_tokenizer(caption_grammar("mnist"))
    images = discrete_vae()
    generator = fitting_generator(
        PatchBidirectionalTransformer, images, captions, patch_head_width=8
    )
    model = TextImageModel(images, captions, generator)
    assert len(model.image_to_text(uint8_images(2))) == 2
    made = model.text_to_image(["red 3 on the upper left ."], seed=0)
    assert made.shape == (1, 16, 16, 3)
    with pytest.raises(ValueError, match=r"\(16, 16, 3\).*shape=.2, 24, 24, 3"):
        model.image_to_text(uint8_images(2, side=24))


def test_config_and_preset_give_the_same_model(tmp_path):
    model = discrete_vae(
        decoder_channels=4, decoder_num_res_blocks=2, epsilon=0.2
    )
    config = model.get_config()
    twin = DiscreteVAE.from_config(config)
    assert twin.get_config() == config
    assert [v.shape for v in twin.weights] == [v.shape for v in model.weights]
    images = uint8_images()
    codes, pictures = model.encode(images), model.reconstruct(images)
    model.quantizer.temperature.assign(0.3)
    model.compile("adam")
    model.save(tmp_path / "model.keras")
    model.save_to_preset(tmp_path / "preset")
    for loaded in (
        keras.saving.load_model(tmp_path / "model.keras"),
        keras_bidalle.load(tmp_path / "preset"),
    ):
        np.testing.assert_array_equal(loaded.encode(images), codes)
        np.testing.assert_allclose(
            loaded.reconstruct(images), pictures, atol=1e-6
        )
        assert float(loaded.quantizer.temperature) == pytest.approx(0.3)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_keeps_likelihood_and_codes_in_float32(policy):
    model = discrete_vae(dtype=policy)
    images = as_float(uint8_images(2))
    latents = model.to_latents(images)
    assert keras.backend.standardize_dtype(latents.dtype) == policy[6:]
    for value in (
        model.quantizer.logits(latents),
        model.statistics(images),
        model(images),
    ):
        assert keras.backend.standardize_dtype(value.dtype) == "float32"
    model.compile("adam", **FEW_STEPS)
    logs = model.fit(uint8_images(2), batch_size=2, verbose=0).history
    assert np.isfinite(logs["loss"]).all()
    twin = discrete_vae()
    twin.set_weights(model.get_weights())
    np.testing.assert_allclose(
        to_numpy(model.statistics(images)),
        to_numpy(twin.statistics(images)),
        atol=0.1,
    )


@pytest.mark.parametrize("name", ["channels", "num_res_blocks"])
def test_sizes_must_be_positive_integers(name):
    with pytest.raises(ValueError, match=f"`{name}` must be a positive"):
        discrete_vae(**{name: 0})
    with pytest.raises(ValueError, match="`channel_multipliers` must"):
        discrete_vae(channel_multipliers=())


def test_any_other_quantizer_will_do():
    model = discrete_vae(VectorQuantizer(12, 6))
    assert model.quant_conv.filters == 6
    model.compile("adam", **FEW_STEPS)
    logs = model.fit(uint8_images(2), batch_size=2, verbose=0).history
    assert np.isfinite(logs["loss"]).all()
    twin = DiscreteVAE.from_config(model.get_config())
    assert [v.shape for v in twin.weights] == [v.shape for v in model.weights]


def test_a_configuration_with_the_names_of_before_is_read():
    config = {
        "name": "dvae",
        "trainable": True,
        "dtype": {
            "module": "keras",
            "class_name": "DTypePolicy",
            "config": {"name": "mixed_bfloat16"},
            "registered_name": None,
        },
        "image_shape": [16, 16, 3],
        "vocab_size": 12,
        "n_hid": 8,
        "n_blk_per_group": 2,
        "group_count": 3,
        "n_init": 6,
        "decoder_n_hid": 4,
        "decoder_n_blk_per_group": None,
        "beta": 6.6,
        "temperature": 0.5,
        "epsilon": 0.2,
        "seed": 3,
    }
    model = DiscreteVAE.from_config(config)
    assert model.num_codes == 12 and model.code_shape == (4, 4)
    assert model.channels == 8 and model.channel_multipliers == (1, 2, 4)
    assert model.num_res_blocks == model.decoder.num_res_blocks == 2
    assert model.decoder.channels == 4
    assert model.encoder.likelihood.epsilon == 0.2
    quantizer = model.quantizer
    assert (quantizer.code_dim, quantizer.input_dim) == (6, 32)
    assert quantizer.seed == 3 and quantizer.compute_dtype == "bfloat16"
    assert float(quantizer.temperature) == 0.5
    assert float(quantizer.kl_weight) == pytest.approx(6.6 / 48)
    # Its encoder alone.
    half = {"n_hid": 8, "n_blk_per_group": 2, "group_count": 3, "epsilon": 0.2}
    encoder = DiscreteVAEEncoder.from_config(half)
    assert encoder.factor == 4 and encoder.output_channels == 32


@pytest.mark.skipif(
    keras.config.backend() == "torch", reason="XLA is not torch's compiler"
)
def test_it_trains_with_xla():
    model = discrete_vae()
    model.compile("adam", jit_compile=True)
    logs = model.fit(uint8_images(2), batch_size=2, verbose=0).history
    assert np.isfinite(logs["loss"]).all()


@pytest.mark.skipif(
    keras.config.backend() != "tensorflow", reason="a SavedModel's own"
)
def test_it_exports_as_a_saved_model(tmp_path):
    import tensorflow as tf

    model, images = discrete_vae(), as_float(uint8_images(2))
    expected = to_numpy(model(images))
    model.export(tmp_path / "model", verbose=False)
    # Its variables live as long as it does.
    loaded = tf.saved_model.load(str(tmp_path / "model"))
    served = loaded.serve(images)
    np.testing.assert_allclose(to_numpy(served), expected, atol=1e-5)
