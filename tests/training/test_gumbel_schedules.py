import keras
import numpy as np
import pytest
from small_tokenizers import discrete_vae

from keras_bidalle.image_tokenizers import VQGAN, DiscreteVAE
from keras_bidalle.quantizers import GumbelQuantizer, VectorQuantizer
from keras_bidalle.training import CosineRamp, cooling, gumbel_schedules


def tokenizer():
    return discrete_vae(
        GumbelQuantizer(6, 4, input_dim=16),
        image_shape=(8, 8, 3),
        channels=4,
    )


def vqgan():
    return VQGAN(
        VectorQuantizer(4, 4),
        image_shape=(8, 8, 3),
        channels=4,
        channel_multipliers=(1, 2),
        z_channels=4,
        attention_resolutions=(),
    )


def test_a_ramp_is_half_a_cosine_up_or_down():
    up, down = CosineRamp(0.0, 6.6, 5_000), CosineRamp(1.0, 1 / 16, 150_000)
    for step in (0, 1, 1000, 2500, 4999, 5000, 10**6):
        share = min(step / 5000, 1)
        expected = 6.6 * (1 - np.cos(np.pi * share)) / 2
        assert up(step) == pytest.approx(expected)
    assert down(0) == 1.0
    assert down(75_000) == pytest.approx((1 + 1 / 16) / 2)
    assert down(150_000) == down(10**7) == pytest.approx(1 / 16)
    config = keras.saving.serialize_keras_object(down)
    again = keras.saving.deserialize_keras_object(config)
    assert again(1234) == down(1234)


def test_the_defaults_are_those_published():
    model = tokenizer()
    temperature, weight = gumbel_schedules(model)
    assert temperature.variable is model.quantizer.temperature
    assert weight.variable is model.quantizer.kl_weight
    assert temperature.schedule(0) == 1.0
    assert temperature.schedule(150_000) == pytest.approx(1 / 16)
    assert weight.schedule(0) == 0.0
    # 4 x 4 pixels of 3 values to a code.
    assert weight.schedule(5_000) == pytest.approx(6.6 / 48)


def test_the_published_model_weighs_the_divergence_by_beta_over_192():
    full = DiscreteVAE(GumbelQuantizer(6, 4, input_dim=32), channels=4)
    _, weight = gumbel_schedules(full)
    assert weight.schedule(5_000) == pytest.approx(6.6 / 192)


def test_fit_follows_them():
    model = tokenizer()
    model.compile("sgd")
    images = np.zeros((32, 8, 8, 3), "uint8")
    schedules = gumbel_schedules(
        model, temperature_steps=3, beta=(0.0, 4.8), beta_steps=6
    )
    model.fit(images, batch_size=8, epochs=1, verbose=0, callbacks=schedules)
    # The last of four steps is step 3.
    assert float(model.quantizer.temperature) == pytest.approx(1 / 16)
    assert float(model.quantizer.kl_weight) == pytest.approx(0.05, rel=1e-4)


def test_only_gumbel_quantizers_cool():
    model = tokenizer()
    _, weight = cooling(model, 30, 10, kl_weight=0.1)
    assert weight.schedule(10) == pytest.approx(0.1)
    assert weight.schedule.steps == 10
    _, weight = cooling(model, 30, 10)
    assert weight.schedule(10) == pytest.approx(6.6 / 48)
    assert cooling(model, None, 10) == []
    assert cooling(vqgan(), 30, 10) == []


def test_wrong_arguments_are_refused():
    model = tokenizer()
    with pytest.raises(ValueError, match="`temperature` must be two"):
        gumbel_schedules(model, temperature=(1.0, 0.0))
    with pytest.raises(ValueError, match="`beta` must be two"):
        gumbel_schedules(model, beta=(-1.0, 1.0))
    with pytest.raises(ValueError, match="`steps` must be a positive"):
        gumbel_schedules(model, beta_steps=0)
    with pytest.raises(ValueError, match="GumbelQuantizer.*VectorQuantizer"):
        gumbel_schedules(vqgan())
