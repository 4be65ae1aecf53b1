"""AugVAE's published program and its conversions give the same numbers."""

import json

import numpy as np
import pytest
from golden import assert_close, channels_last
from keras import ops

from keras_bidalle import converters
from keras_bidalle.image_tokenizers import AugVAE, SingleLevelAugVAE

FILES = {"ml": "mlvae.ckpt", "sl": "slvae.ckpt"}


def read(folder):
    config = json.loads((folder / "config.json").read_text())
    (checkpoint,) = folder.glob("*.ckpt")
    return converters.read_state_dict(checkpoint), config


@pytest.fixture(scope="module", params=FILES)
def case(request, reference_dir):
    folder = reference_dir / "augvae" / request.param
    with np.load(folder / "io.npz") as file:
        io = {name: channels_last(file[name]) for name in file}
    return converters.convert(folder / FILES[request.param]), io


def test_codes(case):
    model, io = case
    latents = model.to_latents(ops.convert_to_tensor(io["image"]))
    codes = ops.convert_to_numpy(model.quantizer.encode(latents))
    assert codes.dtype == np.int32 and codes.shape[1:] == model.code_shape
    np.testing.assert_array_equal(
        codes.reshape(len(codes), -1), io["token_sequence"]
    )
    if isinstance(model, AugVAE):
        for number, level in enumerate(model.split_levels(codes)):
            np.testing.assert_array_equal(
                level.ravel(), io[f"indices_{number}"]
            )


def test_reconstruction(case):
    model, io = case
    found = model(ops.convert_to_tensor(io["image"]), training=False)
    assert_close(found, io["reconstruction"])
    codes = io["token_sequence"].reshape(-1, *model.code_shape)
    assert_close(model.decode(codes), np.clip(io["reconstruction"], -1, 1))


def test_loss_and_perplexity(case):
    model, io = case
    model.compile("adam", reconstruction_loss="l2")
    logs = model.evaluate(
        io["image"], batch_size=2, verbose=0, return_dict=True
    )
    # The program's forward pass gives the commitment of all levels that it
    # quantizes; its training adds the images' squared error.
    assert_close(logs["quantizer_loss"], io["loss"])
    error = np.mean((io["reconstruction"] - io["image"]) ** 2)
    assert_close(logs["loss"], io["loss"] + error)
    if "perplexity" in io:
        assert_close(logs["perplexity"], io["perplexity"])


def test_what_the_checkpoints_become(golden_dir):
    folder = golden_dir / "augvae"
    multi = converters.convert_augvae(*read(folder / "ml"))
    assert type(multi) is AugVAE
    assert multi.level_shapes == ((8, 8), (4, 4), (2, 2))
    single = converters.convert_augvae(*read(folder / "sl"))
    assert type(single) is SingleLevelAugVAE
    assert single.quantize_finer_levels and single.code_shape == (4, 4)


@pytest.mark.parametrize(
    "changes, match",
    [
        ({"attn_resolutions": [8, 4, 1]}, "attn_resolutions"),
        ({"ch_mult": [1, 2]}, "attn_resolutions"),
        ({"double_z": True}, "double_z"),
        ({"out_channels": 1}, "out_channels"),
        ({"use_attn": True}, "has no key 'encoders.0.down.2.attn.0"),
        ({"finetune": True, "ft_attn_resolutions": [5]}, "ft_attn_resolutions"),
        ({"z_channels": 16}, "shape"),
    ],
)
def test_what_does_not_fit_is_refused(golden_dir, changes, match):
    arrays, config = read(golden_dir / "augvae" / "ml")
    with pytest.raises(ValueError, match=match):
        converters.convert_augvae(arrays, config | changes)


@pytest.mark.parametrize(
    "name", ["quantizers.2.embedding.weight", "pre_quants.1.weight"]
)
def test_what_levels_share_must_be_the_same(golden_dir, name):
    arrays, config = read(golden_dir / "augvae" / "ml")
    arrays[name] = arrays[name] + 1.0
    with pytest.raises(ValueError, match="same weight"):
        converters.convert_augvae(arrays, config)
