"""Tests of the convolutional tokenizer."""

import numpy as np
import pytest
from few_steps import FEW_STEPS
from small_tokenizers import as_float, uint8_images, vqgan

from keras_bidalle.image_tokenizers import VQGAN
from keras_bidalle.quantizers import GumbelQuantizer, OrthogonalVectorQuantizer


def test_the_defaults_are_the_published_configuration():
    model = VQGAN(OrthogonalVectorQuantizer(128, 256), channels=32)
    assert model.code_shape == (16, 16)
    assert model.channel_multipliers == (1, 2, 2)
    # Attention at 16 only, in the last level of three.
    assert [len(level.attn) for level in model.encoder.down] == [0, 0, 1]
    assert [len(level.attn) for level in model.decoder.up] == [0, 0, 2]
    assert model.encoder.padding_mode == "replication"
    assert model.decoder.padding_mode == "zero"


def test_the_quantizer_may_see_more_channels_than_its_codes_have():
    model = VQGAN(
        GumbelQuantizer(12, 6, input_dim=10),
        image_shape=(16, 16, 3),
        channels=8,
        channel_multipliers=(1, 2),
        z_channels=8,
    )
    assert model.quant_conv.filters == 10
    assert model(as_float(uint8_images())).shape == (3, 16, 16, 3)
    assert model.encode(uint8_images()).shape == (3, 8, 8)


@pytest.mark.parametrize(
    "downsampling", ["strided_conv", "convblurpool", "maxpool", "maxblurpool"]
)
def test_any_downsampling_trains(downsampling):
    model = vqgan(downsampling=downsampling, dropout=0.1)
    model.compile("adam", **FEW_STEPS)
    logs = model.fit(uint8_images(2), batch_size=2, verbose=0).history
    assert np.isfinite(logs["loss"]).all()


def test_unknown_options_are_refused():
    with pytest.raises(ValueError, match="downsampling"):
        vqgan(downsampling="mean")
    with pytest.raises(ValueError, match="padding_mode"):
        vqgan(encoder_padding_mode="reflect")
    with pytest.raises(ValueError, match="`image_shape`.*multiples of 2"):
        vqgan(image_shape=(15, 16, 3))
