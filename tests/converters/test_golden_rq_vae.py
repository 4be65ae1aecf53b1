"""RQ-VAE's published program and its conversions give the same numbers."""

import json

import numpy as np
import pytest
from golden import assert_close
from keras import ops

from keras_bidalle import converters
from keras_bidalle.generators.stochastic_codes import (
    codebooks_of,
    draw_stacks,
    log_odds,
)
from keras_bidalle.image_tokenizers import RQVAE
from keras_bidalle.quantizers import (
    EMAVectorQuantizer,
    RestartingVectorQuantizer,
)

CASES = ["shared", "per_depth"]


@pytest.fixture(scope="module", params=CASES)
def case(request, reference_dir):
    folder = reference_dir / "rq_vae" / request.param
    with np.load(folder / "io.npz") as file:
        io = {
            name: np.moveaxis(file[name], 1, -1)
            if name in ("image", "reconstruction")
            else file[name]
            for name in file
        }
    return converters.convert(folder / "model.pt"), io


def test_latent_codes_and_reconstruction(case):
    model, io = case
    assert isinstance(model, RQVAE)
    images = ops.convert_to_tensor(io["image"])
    latent = model.to_latents(images, training=False)
    assert_close(latent, io["latent"])
    np.testing.assert_array_equal(
        ops.convert_to_numpy(model.quantizer.encode(latent)), io["codes"]
    )
    assert_close(model(images, training=False), io["reconstruction"])
    decoded = model.decode(io["codes"])
    assert_close(decoded, np.clip(io["reconstruction"], -1, 1))


def test_quantized_and_loss(case):
    model, io = case
    quantizer = model.quantizer
    assert_close(quantizer(io["latent"]), io["quantized"])
    (loss,) = quantizer.losses
    assert_close(loss / quantizer.commitment_weight, io["commitment_loss"])
    assert_close(quantizer.decode(io["codes"]), io["quantized"])


def test_odds_that_a_generator_learns_from(case):
    model, io = case
    codebooks = codebooks_of(model)
    depth = model.quantizer.code_depth
    residual = io["latent"].reshape(-1, io["latent"].shape[-1])
    stacks = draw_stacks(
        ops.convert_to_tensor(residual),
        ops.convert_to_tensor(codebooks),
        depth,
    )
    stacks = ops.convert_to_numpy(stacks)
    np.testing.assert_array_equal(
        stacks.reshape(io["codes"].shape), io["codes"]
    )
    expected = io["soft_codes_t05"].reshape(*stacks.shape, -1)
    for place in range(depth):
        book = codebooks[place if len(codebooks) > 1 else 0]
        scores = log_odds(
            ops.convert_to_tensor(residual), ops.convert_to_tensor(book), 0.5
        )
        assert_close(ops.softmax(scores, axis=-1), expected[:, place])
        residual = residual - book[stacks[:, place]]


def test_fewer_codes_of_a_stack_are_a_coarser_image(case):
    model, io = case
    images = np.clip(io["image"], -1, 1)
    assert_close(
        model.reconstruct(images, depth=2),
        model.decode(model.encode(images)[..., :2]),
    )


# Last: it moves the codebooks.
def test_statistics_after_a_training_pass(case):
    model, io = case
    model.quantizer(io["latent"], training=True)
    for number, part in enumerate(model.quantizer.quantizers):
        name = f"after_{number}"
        assert_close(part.embedding, io[f"{name}_weight"][:-1], name)
        assert_close(part.cluster_size, io[f"{name}_cluster_size_ema"], name)
        assert_close(part.embed_sum, io[f"{name}_embed_ema"], name)


def read(folder):
    config = json.loads((folder / "config.json").read_text())
    return converters.read_state_dict(folder / "model.pt"), config


@pytest.fixture
def published(golden_dir):
    return read(golden_dir / "rq_vae" / "shared")


def test_the_whole_configuration_will_do(published):
    arrays, config = published
    config["hparams"]["restart_unused_codes"] = False
    model = converters.convert_rq_vae(arrays, {"arch": config, "dataset": {}})
    (codebook,) = model.quantizer.quantizers
    assert type(codebook) is EMAVectorQuantizer
    assert codebook.kmeans_steps == codebook.revival_share == 0


def test_each_depth_may_have_its_own_decay(golden_dir):
    arrays, config = read(golden_dir / "rq_vae" / "per_depth")
    config["hparams"]["decay"] = [0.9, 0.99, 0.999]
    model = converters.convert_rq_vae(arrays, config)
    parts = model.quantizer.quantizers
    assert [part.decay for part in parts] == [0.9, 0.99, 0.999]
    assert type(parts[0]) is RestartingVectorQuantizer
    twin = RQVAE.from_config(model.get_config())
    assert [p.decay for p in twin.quantizer.quantizers] == [0.9, 0.99, 0.999]


@pytest.mark.parametrize(
    "changes, match",
    [
        ({"code_shape": [2, 2, 3]}, r"shape \(21, 64\)"),
        ({"code_shape": [2, 4, 3]}, "code_shape"),
        ({"code_shape": [2, 2, 3], "latent_shape": [2, 2, 16]}, "latent_shape"),
        ({"n_embed": [20, 20, 10]}, "n_embed"),
        ({"decay": [0.9]}, "each of 3 depths"),
        ({"bottleneck_type": "vq"}, "bottleneck_type"),
    ],
)
def test_what_is_not_known_is_refused(published, changes, match):
    arrays, config = published
    config["hparams"].update(changes)
    with pytest.raises(ValueError, match=match):
        converters.convert_rq_vae(arrays, config)


def test_a_shared_codebook_must_be_one(published):
    arrays, config = published
    name = "quantizer.codebooks.1.weight"
    arrays[name] = arrays[name] + 1.0
    with pytest.raises(ValueError, match="codebooks.1.weight.*the same"):
        converters.convert_rq_vae(arrays, config)
