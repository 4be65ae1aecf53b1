"""Images of one channel, in batches of one, and of any size."""

import keras
import numpy as np
import pytest

from keras_bidalle import image_tokenizers, losses, quantizers

IMAGES = np.random.default_rng(0).uniform(-1, 1, (3, 16, 16, 1))
IMAGES = IMAGES.astype("float32")


@pytest.fixture
def channels_first():
    keras.config.set_image_data_format("channels_first")
    yield
    keras.config.set_image_data_format("channels_last")


SMALL = {
    "image_shape": (16, 16, 1),
    "channels": 8,
    "channel_multipliers": (1, 2),
    "num_res_blocks": 1,
}
VQGAN = {**SMALL, "attention_resolutions": (8,), "z_channels": 8}
MAKERS = {
    **{
        name: lambda name=name: image_tokenizers.VQGAN(
            quantizers.VectorQuantizer(12, 8), downsampling=name, **VQGAN
        )
        for name in ("strided_conv", "maxblurpool")
    },
    "patches": lambda: image_tokenizers.PatchVQGAN(
        quantizers.VectorQuantizer(12, 8),
        image_shape=(16, 16, 1),
        channels=8,
        hidden_channels=8,
        num_blocks=1,
    ),
    "discrete_vae": lambda: image_tokenizers.DiscreteVAE(
        quantizers.GumbelQuantizer(12, 6, input_dim=16), **SMALL
    ),
    "augvae": lambda: image_tokenizers.AugVAE(
        quantizers.VectorQuantizer(12, 8),
        image_shape=(16, 16, 1),
        num_levels=2,
        channels=8,
        channel_multipliers=(1, 2),
        next_channel_multipliers=(2, 2),
        num_res_blocks=1,
        z_channels=8,
    ),
}


@pytest.mark.parametrize("kind", MAKERS)
def test_gray_images_and_batches_of_one_train_with_channels_first_set(
    kind, channels_first
):
    """An adversarial loss has convolutions of one filter as well."""
    model = MAKERS[kind]()
    adversarial = {}
    if kind == "strided_conv":
        discriminator = losses.PatchDiscriminator(1, 4)
        adversarial["adversarial"] = losses.AdversarialLoss(discriminator)
    model.compile("adam", **adversarial)
    logs = model.fit(IMAGES, batch_size=2, verbose=0).history
    assert np.isfinite(logs["loss"]).all()
    assert model.reconstruct(IMAGES).shape == IMAGES.shape


@pytest.mark.parametrize("kind", [name for name in MAKERS if name != "augvae"])
def test_images_of_any_size_have_codes(kind):
    model = MAKERS[kind]()
    factor = model.encoder.factor
    wide = np.zeros((2, 8, 24, 1), "float32")
    codes = model.encode(wide)
    assert codes.shape == (2, 8 // factor, 24 // factor)
    assert model.decode(codes).shape == wide.shape
    with pytest.raises(ValueError, match="multiples"):
        model.encode(wide[:, :7])
