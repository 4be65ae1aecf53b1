import json

import keras
import numpy as np
import pytest

from keras_bidalle import configurations
from keras_bidalle.configurations import Configuration
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
    "small-64": ((16, 16), 1024),
    "small-128": ((32, 32), 2048),
    "base-256": ((16, 16), 4096),
}


@pytest.mark.parametrize("name", configurations.tokenizer_names())
def test_tokenizers_have_the_codes_of_their_table(name, monkeypatch):
    seen = []
    cls, arguments = configurations.tokenizer(name)
    make = cls.from_config

    def made(config):
        seen.append(make(config))
        return seen[-1]

    monkeypatch.setattr(cls, "from_config", made)
    # Made by way of the count, which allocates nothing.
    assert configurations.count_params(cls, arguments) > 2e5
    assert (seen[0].code_shape, seen[0].num_codes) == CODE_SHAPES[name]


def test_the_count_is_that_of_the_model():
    configuration = Configuration.find("rq-vae-ffhq", "tokenizer")
    for setting, value in {
        # Of the quantizer within the residual one.
        "quantizer.num_codes": 12,
        "quantizer.quantizer.code_dim": 8,
        "image_shape": (16, 16, 3),
        "channels": 8,
        "channel_multipliers": (1, 2),
        "num_res_blocks": 1,
        "z_channels": 8,
    }.items():
        configuration.change(setting, value)
    count = configuration.count_params()
    model = configuration.build()
    assert count == sum(int(np.prod(w.shape)) for w in model.weights)
    assert model.num_codes == 12
    # The table is as it was.
    kept = configurations.tokenizer("rq-vae-ffhq")[1]["quantizer"]["config"]
    assert kept["quantizer"]["config"]["num_codes"] == 2048


STAGES = [
    *((name, "tokenizer") for name in configurations.tokenizer_names()),
    *((name, "generator") for name in configurations.generator_names()),
]


@pytest.mark.parametrize("name,stage", STAGES)
def test_configurations_are_json_files_too(name, stage, tmp_path):
    path = tmp_path / "configuration.json"
    configuration = Configuration.find(name, stage)
    path.write_text(json.dumps(configuration.as_json()))
    assert Configuration.find(str(path), stage) == configuration
    # So is the `config.json` of a run.
    path.write_text(json.dumps({stage: configuration.as_json(), "seed": 1}))
    assert Configuration.find(str(path), stage) == configuration


def test_files_of_older_versions_are_read(tmp_path):
    path = tmp_path / "config.json"
    old = {
        "class": "RQVAE",
        "arguments": {
            "quantizer": {
                "class": "ResidualQuantizer",
                "arguments": {
                    "quantizer": {
                        "class": "RestartingVectorQuantizer",
                        "arguments": {"num_codes": 2048, "code_dim": 256},
                    },
                    "depth": 4,
                    "shared": True,
                },
            },
            "image_shape": [256, 256, 3],
            "channels": 128,
            "channel_multipliers": [1, 1, 2, 2, 4, 4],
            "num_res_blocks": 2,
            "attention_resolutions": [16],
            "z_channels": 256,
        },
        "training": {"steps": 3},
        "data": "a folder",
        "seed": 0,
    }
    path.write_text(json.dumps(old))
    found = Configuration.find(str(path), "tokenizer")
    named = Configuration.find("rq-vae-ffhq", "tokenizer")
    assert (found.cls, found.arguments) == (named.cls, named.arguments)
    assert found.training == {**configurations.tokenizer_training(), "steps": 3}


def test_what_is_described_is_keras_own_form():
    cls, arguments = configurations.tokenizer("te-vqgan-mnist64")
    small = configurations.tiny(cls, arguments)
    described = configurations.serialized(cls, small)
    model = keras.saving.deserialize_keras_object(described)
    assert type(model) is cls
    assert model.num_codes == small["quantizer"]["config"]["num_codes"]


@pytest.mark.parametrize("name,stage", STAGES)
def test_every_configuration_shrinks(name, stage):
    configuration = Configuration.find(name, stage)
    small = configurations.shrunk(configuration)
    if stage == "generator":
        shape = small.arguments["code_shape"]
        small.change("code_shape", (8, 8, *shape[2:]))
    assert small.count_params() < 400_000
    small.check()
    # What was given is as it was.
    assert configuration == Configuration.find(name, stage)


@pytest.mark.parametrize(
    "text,message",
    [
        ("{", "not a configuration"),
        ('{"config": {}}', '"class_name": name'),
        ('{"class_name": "Dense", "config": {}}', "must be one of"),
        ('{"class_name": "VQGAN", "config": 3}', '"config" must be'),
        (
            '{"class_name": "VQGAN", "config": {}, "training": 3}',
            '"training" must be',
        ),
        (
            '{"class_name": "VQGAN", "config": {}, "training": {"step": 3}}',
            "unknown settings 'step'. Near to it: steps",
        ),
        (
            '{"class_name": "RQTransformer", "config": {}}',
            "must be of an image tokenizer",
        ),
    ],
)
def test_damaged_files_are_told(text, message, tmp_path):
    path = tmp_path / "damaged.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=message) as error:
        Configuration.find(str(path), "tokenizer")
    if "Transformer" not in text:
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
    with pytest.raises(ValueError, match="Known image tokenizers are"):
        configurations.tokenizer("vqgan")
