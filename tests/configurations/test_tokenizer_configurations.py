import json

import numpy as np
import pytest

from keras_bidalle import configurations
from keras_bidalle.quantizers import ResidualQuantizer

CODE_SHAPES = {
    "te-vqgan-mnist64": ((16, 16), 128),
    "vqgan-imagenet-f16-16384": ((16, 16), 16384),
    "rq-vae-imagenet-8x8x4": ((8, 8, 4), 16384),
    "rq-vae-ffhq": ((8, 8, 4), 2048),
    "rq-vae-lsun": ((8, 8, 4), 16384),
    "rq-vae-cc3m": ((8, 8, 4), 16384),
    "augvae-ml": ((64**2 + 32**2 + 16**2 + 8**2,), 8192),
    "augvae-sl": ((32, 32), 8192),
    "dall-e-dvae": ((32, 32), 8192),
}


@pytest.mark.parametrize("name", configurations.tokenizer_names())
def test_tokenizers_have_the_published_codes(name):
    seen = []

    def made(**arguments):
        seen.append(configurations.build(cls, arguments))
        return seen[-1]

    cls, arguments = configurations.tokenizer(name)
    # Made by way of the count, which allocates nothing.
    assert configurations.count_params(made, arguments) > 1e6
    assert (seen[0].code_shape, seen[0].num_codes) == CODE_SHAPES[name]


def test_the_count_is_that_of_the_model():
    cls, arguments = configurations.tokenizer("rq-vae-ffhq")
    _, quantizer = arguments["quantizer"]
    quantizer["quantizer"][1].update(num_codes=12, code_dim=8)
    small = {
        **arguments,
        "image_shape": (16, 16, 3),
        "channels": 8,
        "channel_multipliers": (1, 2),
        "num_res_blocks": 1,
        "z_channels": 8,
    }
    count = configurations.count_params(cls, small)
    model = configurations.build(cls, small)
    assert count == sum(int(np.prod(w.shape)) for w in model.weights)
    # The table is as it was.
    kept = configurations.tokenizer("rq-vae-ffhq")[1]
    assert kept["quantizer"][1]["quantizer"][1]["num_codes"] == 2048


@pytest.mark.parametrize(
    "name", [*configurations.tokenizer_names(), *configurations.names()]
)
def test_configurations_are_json_files_too(name, tmp_path):
    table = configurations.TOKENIZERS | configurations.GENERATORS
    path = tmp_path / "configuration.json"
    value = configurations.as_json(*table[name])
    path.write_text(json.dumps({**value, "training": {"steps": 3}}))
    cls, arguments, training = configurations.read_configuration(path)
    assert (cls, arguments) == table[name]
    assert training == {"steps": 3}


@pytest.mark.parametrize(
    "text,message",
    [
        ("{", "no configuration"),
        ('{"arguments": {}}', '"class": name'),
        ('{"class": "Dense", "arguments": {}}', '"class" must be one of'),
        ('{"class": "VQGAN", "arguments": 3}', '"arguments" must be'),
        (
            '{"class": "VQGAN", "arguments": {}, "training": 3}',
            '"training" must be',
        ),
    ],
)
def test_damaged_files_are_told(text, message, tmp_path):
    path = tmp_path / "damaged.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=message) as error:
        configurations.read_configuration(path)
    assert "damaged.json" in str(error.value)


def test_settings_of_training_have_no_name_of_a_constructor():
    # Overrides of both are given by name in one list.
    for table, training in (
        (configurations.TOKENIZERS, configurations.tokenizer_training()),
        (configurations.GENERATORS, configurations.generator_training()),
    ):
        for _, arguments in table.values():
            assert not set(arguments) & set(training)


def test_published_training_is_given_and_the_rest_filled_in():
    settings = configurations.tokenizer_training("rq-vae-ffhq")
    assert settings["learning_rate"] == 4e-5
    assert settings["crop"] == "RandomResizedCrop"
    other = configurations.tokenizer_training("mine")
    assert set(other) == set(settings)
    settings = configurations.tokenizer_training("dall-e-dvae")
    assert settings["final_learning_rate"] == 1.25e-6
    assert (settings["schedule_steps"], settings["steps"]) == (
        *(1_200_000, 3_000_000),
    )
    settings = configurations.generator_training("bidalle-mnist64")
    assert (settings["schedule_cycles"], settings["warmup_epochs"]) == (6, 1)
    settings = configurations.generator_training("dalle-12b")
    assert settings["crop"] == "DALLECrop"
    assert settings["steps"] == 430_000 and settings["clip_norm"] == 4.0


def test_unknown_names_are_told():
    with pytest.raises(ValueError, match="Quantizer cannot be made of these"):
        configurations.build(ResidualQuantizer, {"num_codes": 3})
    with pytest.raises(ValueError, match="Published image tokenizers are"):
        configurations.tokenizer("vqgan")
