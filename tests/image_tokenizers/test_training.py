"""Tests of how image tokenizers learn."""

import keras
import numpy as np
import pytest
from keras import ops
from small_tokenizers import as_float, patch_vqgan, uint8_images, vqgan

from keras_bidalle.losses import AdversarialLoss, PatchDiscriminator

IMAGES = uint8_images(8)


def _adversarial(**kwargs):
    discriminator = PatchDiscriminator(num_layers=1, filters=4)
    return AdversarialLoss(discriminator, **kwargs)


def _weights(layer):
    return [ops.convert_to_numpy(v) for v in layer.trainable_variables]


def _changed(before, after):
    return any(
        not np.array_equal(old, new)
        for old, new in zip(before, after, strict=True)
    )


@pytest.mark.parametrize("make", [patch_vqgan, vqgan])
def test_a_short_fit_lowers_the_loss(make):
    model = make()
    model.compile(keras.optimizers.Adam(3e-3), reconstruction_loss="l2")
    history = model.fit(IMAGES, batch_size=4, epochs=12, verbose=0).history
    assert history["reconstruction_loss"][-1] < (
        0.7 * history["reconstruction_loss"][0]
    )
    assert history["psnr"][-1] > history["psnr"][0]


def test_the_logs_hold_each_term_and_the_use_of_the_codebook():
    model = patch_vqgan()
    model.compile("adam")
    logs = model.evaluate(IMAGES, batch_size=8, verbose=0, return_dict=True)
    assert set(logs) == {
        "loss",
        "reconstruction_loss",
        "quantizer_loss",
        "psnr",
        "codebook_usage",
        "perplexity",
    }
    real = as_float(IMAGES)
    fake = ops.convert_to_numpy(model(real, training=False))
    l1 = np.mean(np.abs(real - fake))
    errors = np.mean((real - np.clip(fake, -1, 1)) ** 2, axis=(1, 2, 3))
    used = len(np.unique(model.encode(IMAGES))) / model.num_codes
    np.testing.assert_allclose(logs["reconstruction_loss"], l1, rtol=1e-4)
    np.testing.assert_allclose(
        logs["psnr"], np.mean(10 * np.log10(4 / errors)), rtol=1e-4
    )
    np.testing.assert_allclose(logs["codebook_usage"], used, rtol=1e-4)
    np.testing.assert_allclose(
        logs["loss"],
        logs["reconstruction_loss"] + logs["quantizer_loss"],
        rtol=1e-4,
    )


@pytest.mark.parametrize(
    "loss, expected",
    [
        ("l2", lambda e: np.mean(e**2)),
        ({"l2": 1.0, "l1": 0.2}, lambda e: np.mean(e**2 + 0.2 * np.abs(e))),
        (lambda real, fake: (real - fake) ** 4, lambda e: np.mean(e**4)),
    ],
)
def test_the_reconstruction_loss_is_the_one_asked_for(loss, expected):
    model = patch_vqgan()
    model.compile("adam", reconstruction_loss=loss)
    logs = model.evaluate(IMAGES, batch_size=8, verbose=0, return_dict=True)
    real = as_float(IMAGES)
    fake = ops.convert_to_numpy(model(real, training=False))
    np.testing.assert_allclose(
        logs["reconstruction_loss"], expected(real - fake), rtol=1e-4
    )


def test_a_perceptual_loss_is_weighed_and_logged():
    model = patch_vqgan()
    model.compile(
        "adam",
        perceptual=lambda real, fake: ops.mean((real - fake) ** 2, (1, 2, 3)),
        perceptual_weight=3.0,
    )
    logs = model.evaluate(IMAGES, batch_size=8, verbose=0, return_dict=True)
    real = as_float(IMAGES)
    error = real - ops.convert_to_numpy(model(real, training=False))
    np.testing.assert_allclose(
        logs["perceptual_loss"], np.mean(error**2), rtol=1e-3
    )
    np.testing.assert_allclose(
        logs["loss"],
        np.mean(np.abs(error))
        + 3.0 * np.mean(error**2)
        + logs["quantizer_loss"],
        rtol=1e-4,
    )


@pytest.mark.parametrize("make", [patch_vqgan, vqgan])
def test_both_players_train_in_plain_fit(make):
    model = make()
    adversarial = _adversarial()
    model.compile(
        keras.optimizers.Adam(1e-3),
        adversarial=adversarial,
        discriminator_optimizer=keras.optimizers.Adam(1e-3),
    )
    before = _weights(model.encoder), _weights(adversarial.discriminator)
    logs = model.fit(IMAGES, batch_size=4, verbose=0).history
    assert _changed(before[0], _weights(model.encoder))
    assert _changed(before[1], _weights(adversarial.discriminator))
    for name in (
        "generator_loss",
        "discriminator_loss",
        "adaptive_weight",
        "real_logits",
        "fake_logits",
    ):
        assert np.isfinite(logs[name]).all(), name


@pytest.mark.parametrize("still", ["model", "discriminator"])
def test_each_player_has_its_own_optimizer(still):
    model = patch_vqgan()
    adversarial = _adversarial()
    rates = {"model": 0.1, "discriminator": 0.1, still: 0.0}
    model.compile(
        keras.optimizers.SGD(rates["model"]),
        adversarial=adversarial,
        discriminator_optimizer=keras.optimizers.SGD(rates["discriminator"]),
    )
    players = {
        "model": model.encoder,
        "discriminator": adversarial.discriminator,
    }
    before = {name: _weights(layer) for name, layer in players.items()}
    model.fit(IMAGES, batch_size=8, verbose=0)
    for name, layer in players.items():
        assert _changed(before[name], _weights(layer)) == (name != still)


def test_before_its_start_step_the_discriminator_changes_nothing():
    losses = []
    for adversarial in (None, _adversarial(start_step=100)):
        keras.utils.set_random_seed(0)
        model = patch_vqgan()
        model.compile(keras.optimizers.SGD(0.1), adversarial=adversarial)
        model.fit(IMAGES, batch_size=8, epochs=3, verbose=0, shuffle=False)
        losses.append(model.reconstruct(IMAGES))
    np.testing.assert_allclose(losses[0], losses[1], atol=1e-4)


def test_a_model_with_a_discriminator_saves_and_goes_on(tmp_path):
    model = patch_vqgan()
    model.compile("adam", adversarial=_adversarial())
    model.fit(IMAGES, batch_size=8, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    expected = _weights(model.adversarial.discriminator)
    found = _weights(loaded.adversarial.discriminator)
    assert not _changed(expected, found)
    logs = [
        m.fit(IMAGES, batch_size=8, verbose=0).history for m in (model, loaded)
    ]
    np.testing.assert_allclose(logs[0]["loss"], logs[1]["loss"], rtol=1e-3)


def test_a_preset_leaves_the_discriminator_out(tmp_path):
    model = patch_vqgan()
    bare = len(model.weights)
    model.compile("adam", adversarial=_adversarial())
    codes = model.encode(IMAGES)
    model.save_to_preset(tmp_path / "preset")
    loaded = type(model).from_preset(tmp_path / "preset")
    assert len(loaded.weights) == bare
    np.testing.assert_array_equal(loaded.encode(IMAGES), codes)


@pytest.mark.parametrize("adversarial", [False, True])
def test_mixed_precision_trains_with_float32_pictures(adversarial):
    model = patch_vqgan(dtype="mixed_bfloat16")
    assert model.encoder.compute_dtype == "bfloat16"
    model.compile(
        keras.optimizers.Adam(3e-3),
        adversarial=_adversarial() if adversarial else None,
    )
    history = model.fit(IMAGES, batch_size=8, epochs=8, verbose=0).history
    losses = history["reconstruction_loss"]
    assert np.isfinite(history["loss"]).all() and losses[-1] < losses[0]
    fake = model(as_float(IMAGES), training=False)
    assert keras.backend.standardize_dtype(fake.dtype) == "float32"
    assert model.encode(IMAGES).dtype == np.int32


def test_a_stream_of_batches_trains_like_an_array():
    class Stream(keras.utils.PyDataset):
        def __len__(self):
            return 2

        def __getitem__(self, index):
            return (IMAGES[4 * index : 4 * index + 4],)

    logs = []
    for data in (IMAGES, Stream()):
        keras.utils.set_random_seed(0)
        model = patch_vqgan()
        model.compile(keras.optimizers.SGD(0.1))
        options = {"batch_size": 4} if data is IMAGES else {}
        history = model.fit(data, shuffle=False, verbose=0, **options)
        logs.append(history.history["loss"][0])
    np.testing.assert_allclose(logs[0], logs[1], rtol=1e-4)


def test_wrong_arguments_of_compile_are_refused():
    model = patch_vqgan()
    with pytest.raises(ValueError, match="reconstruction_loss='mae'"):
        model.compile("adam", reconstruction_loss="mae")
    with pytest.raises(ValueError, match="Received: loss='mse'"):
        model.compile("adam", loss="mse")


@pytest.mark.parametrize(
    "arguments",
    [
        {"reconstruction_loss": None},
        {"reconstruction_loss": 3},
        {"reconstruction_loss": {}},
        {"reconstruction_loss": ["l1"]},
        {"perceptual": "lpips"},
        {"perceptual_weight": None},
        {"perceptual_weight": float("nan")},
        {"perceptual_weight": -1.0},
        {"perceptual_weight": "a"},
        {"adversarial": "hinge"},
        {"discriminator_optimizer": "sgd"},
    ],
)
def test_nonsense_is_told_by_its_name(arguments):
    (name,) = arguments
    with pytest.raises(ValueError, match=f"`{name}` must be .*Received"):
        patch_vqgan().compile("adam", **arguments)


@pytest.mark.parametrize("weight", [-1, float("nan"), "a", None, True])
def test_weights_of_reconstruction_losses_are_numbers(weight):
    with pytest.raises(ValueError, match=r"`reconstruction_loss\['l1'\]` must"):
        patch_vqgan().compile("adam", reconstruction_loss={"l1": weight})
