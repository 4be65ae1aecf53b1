"""The training programs for one's own images, at their smallest."""

import argparse
import json
import tarfile

import keras
import numpy as np
import pytest
import train_generator
import train_tokenizer
from trained import TOKENIZER_RUN

import keras_bidalle
from keras_bidalle import configurations, programs
from keras_bidalle.configurations import Configuration, shrunk
from keras_bidalle.generators import RQTransformer
from keras_bidalle.generators.stochastic_codes import codebooks_of
from keras_bidalle.image_tokenizers import DiscreteVAE, PatchVQGAN
from keras_bidalle.programs.stage import optimizer_of
from keras_bidalle.programs.tokenizer_stage import started

pytestmark = pytest.mark.any_backend


def test_training_leaves_what_people_look_at_and_learns(runs):
    for run, names in {
        "tokenizer": ("reconstructions.png", "tokenizer_curves.png"),
        "generator": (
            "text_to_image.png",
            "image_to_text.png",
            "generator_curves.png",
            "codes.npz",
        ),
    }.items():
        for name in names:
            assert (runs / run / name).stat().st_size > 0
        assert list((runs / run).glob("checkpoints/*/step-*.npz"))
        assert list((runs / run).glob("events/*/*tfevents*"))
    metrics = json.loads((runs / "generator" / "metrics.json").read_text())
    # Below what 32 codes drawn evenly would cost.
    assert metrics["generator_training"]["image_loss"] < np.log(32)
    records = json.loads((runs / "generator" / "captions.json").read_text())
    assert len(records) == 12


def test_training_goes_on_only_when_told_to(runs, pictures, capsys):
    folder, _ = pictures
    again = TOKENIZER_RUN.format(folder=folder, output=runs).split()
    assert train_tokenizer.main(again) == 1
    assert "--resume" in capsys.readouterr().err
    assert train_tokenizer.main([*again, "--resume"]) == 0
    assert "done already" in capsys.readouterr().out


def test_made_up_data_trains_residual_codes_to_a_model(tmp_path):
    """RQ-VAE with its discriminator, and RQ-Transformer on its codebook."""
    common = "--tiny --fake-data --precision float32 --set batch_size=4 "
    common += f"--output {tmp_path} "
    assert not train_tokenizer.main(
        f"rq-vae-ffhq {common} --set steps=4 --set adversarial_start=2".split()
    )
    tokenizer = tmp_path / "rq-vae-ffhq" / "tokenizer"
    assert not train_generator.main(
        f"rq-transformer-cc3m-654m {common} --tokenizer {tokenizer} "
        "--set steps=4".split()
    )
    model = keras_bidalle.load(tmp_path / "rq-transformer-cc3m-654m" / "model")
    assert isinstance(model.generator, RQTransformer)
    (codebook,) = codebooks_of(model.image_tokenizer)
    np.testing.assert_array_equal(
        keras.ops.convert_to_numpy(model.generator.head.codebooks.codebooks)[0],
        codebook,
    )
    assert model.text_to_image("a red disc on the upper left").shape == (
        *(1, 32, 32, 3),
    )
    # A run's own settings are a configuration.
    again = Configuration.find(
        str(tmp_path / "rq-vae-ffhq" / "config.json"), "tokenizer"
    )
    assert again.arguments["image_shape"] == (32, 32, 3)
    assert again.training["steps"] == 4


def test_gumbel_schedules_run_where_a_configuration_has_them(tmp_path):
    assert not train_tokenizer.main(
        f"dall-e-dvae --tiny --fake-data --precision float32 --name cold "
        f"--output {tmp_path} --set steps=4 --set temperature_steps=2 "
        "--set batch_size=4 --set average_momentum=0.5".split()
    )
    tokenizer = keras_bidalle.load(tmp_path / "cold" / "tokenizer")
    assert isinstance(tokenizer, DiscreteVAE)
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(tokenizer.quantizer.temperature),
        1 / 16,
        rtol=1e-5,
    )


def test_every_kind_of_data_set_is_found(pictures, tmp_path):
    folder, batch = pictures
    with tarfile.open(tmp_path / "all.tar", "w") as archive:
        for path in sorted(folder.iterdir()):
            archive.add(path, path.name)
    records = [{"file": f"{i}.png", "caption": f"a {i}"} for i in range(12)]
    (tmp_path / "captions.json").write_text(json.dumps(records))
    for data_set, number, caption in (
        (["--fake-data"], 256, None),
        (["--images", str(folder)], 13, None),
        (["--pairs", str(folder)], 13, batch.captions[0]),
        (
            [
                *("--pairs", str(folder)),
                *("--captions", str(tmp_path / "captions.json")),
            ],
            *(12, "a 0"),
        ),
        (["--tar", str(tmp_path / "*.tar")], 13, batch.captions[0]),
    ):
        source = source_of(data_set, captions="--images" not in data_set)
        assert len(source) == number
        if caption is not None:
            assert source.read(0).captions == [caption]


def test_a_data_set_of_tensorflow_datasets_is_found(shared_dir):
    pytest.importorskip("tensorflow_datasets")
    folder = shared_dir / "data" / "tfds"
    if not folder.is_dir():
        pytest.skip(f"no prepared data set: {folder}")
    data_set = (
        f"--tfds mnist --tfds-split test[:20] --tfds-captions label "
        f"--data-dir {folder}".split()
    )
    source = source_of(data_set, captions=True)
    assert len(source) == 20
    (caption,) = source.read(0).captions
    assert caption in set("0123456789")
    assert not source_of(data_set, captions=False).read(0).captions


def source_of(data_set, captions):
    parser = argparse.ArgumentParser()
    programs.add_run(parser)
    programs.add_source(parser)
    return programs.source_of(parser.parse_args(data_set), captions)


def test_learning_rates_are_those_of_the_settings():
    settings = configurations.tokenizer_training()
    settings.update(learning_rate=0.5, warmup_epochs=2, batch_size=5, steps=100)

    def rate(step, **changed):
        optimizer = optimizer_of({**settings, **changed}, records=25)
        optimizer.iterations.assign(step)
        return float(optimizer.learning_rate)

    # Two epochs are ten steps.
    assert rate(5) == pytest.approx(0.25) and rate(60) == pytest.approx(0.5)
    assert rate(5, warmup_epochs=None) == pytest.approx(0.5)
    cosine = {"schedule": "cosine", "final_learning_rate": 0.1}
    assert rate(100, **cosine) == pytest.approx(0.1)
    assert rate(55, **cosine) == pytest.approx(0.3)
    assert rate(40, **cosine, schedule_steps=40) == pytest.approx(0.1)
    assert rate(55, **cosine, schedule_cycles=2) == pytest.approx(0.5)


def test_a_run_starts_from_an_earlier_tokenizer(tmp_path):
    whole = shrunk(Configuration.find("augvae-ml", "tokenizer"))
    several = whole.build()
    several.save_to_preset(tmp_path / "several")
    again, told = started(tmp_path / "several", whole)
    assert told == f"carried over {len(again.weights)} of " + (
        f"{len(again.weights)} weights"
    )
    for ours, theirs in zip(again.weights, several.weights, strict=True):
        np.testing.assert_array_equal(
            *map(keras.ops.convert_to_numpy, (ours, theirs))
        )
    single = shrunk(Configuration.find("augvae-sl", "tokenizer"))
    one, _ = started(tmp_path / "several", single)
    assert type(one) is single.cls
    np.testing.assert_array_equal(
        *(
            keras.ops.convert_to_numpy(model.codebook.codebook)
            for model in (one, several)
        )
    )


def test_a_file_of_ones_own_names_any_class(tmp_path):
    path = tmp_path / "mine.json"
    path.write_text(
        json.dumps(
            {
                "class_name": "PatchVQGAN",
                "config": {
                    "quantizer": {
                        "class_name": "VectorQuantizer",
                        "config": {"num_codes": 12, "code_dim": 8},
                    },
                    "image_shape": [16, 16, 3],
                },
                "training": {"steps": 2, "batch_size": 2},
            }
        )
    )
    assert not train_tokenizer.main(
        [
            *(str(path), "--fake-data", "--precision", "float32"),
            *("--output", str(tmp_path), "--set", "channels=8"),
            *("--set", "hidden_channels=8", "--set", "num_blocks=1"),
            *("--set", "quantizer.num_codes=14"),
        ]
    )
    tokenizer = keras_bidalle.load(tmp_path / "mine" / "tokenizer")
    assert isinstance(tokenizer, PatchVQGAN)
    assert (tokenizer.num_codes, tokenizer.image_shape) == (14, (16, 16, 3))
