"""Runs of the training programs that go on otherwise than they began."""

import json
import shutil

import numpy as np
import pytest
import train_generator
import train_tokenizer

import keras_bidalle

pytestmark = pytest.mark.any_backend


def command(program, output, steps, *more):
    name = {
        train_tokenizer: "te-vqgan-mnist64",
        train_generator: "bidalle-mnist64",
    }[program]
    return (
        f"{name} --tiny --fake-data --precision float32 --output {output} "
        f"--set steps={steps} --set batch_size=4"
    ).split() + list(more)


def metrics(folder):
    return json.loads((folder / "metrics.json").read_text())


@pytest.fixture(scope="module")
def output(tmp_path_factory):
    output = tmp_path_factory.mktemp("runs")
    assert train_tokenizer.main(command(train_tokenizer, output, 2)) == 0
    return output


def test_a_finished_run_is_made_longer(output, capsys):
    folder = output / "te-vqgan-mnist64"
    before = keras_bidalle.load(folder / "tokenizer").get_weights()
    longer = command(train_tokenizer, output, 4, "--resume")
    assert train_tokenizer.main(longer) == 0
    told = capsys.readouterr().out
    assert "tokenizer.training.steps=2 (now 4)" in told
    assert metrics(folder)["tokenizer_training"]["step"] == 4
    after = keras_bidalle.load(folder / "tokenizer").get_weights()
    assert any(
        not np.array_equal(old, new)
        for old, new in zip(before, after, strict=True)
    )
    assert train_tokenizer.main(longer) == 0
    assert "done already" in capsys.readouterr().out


def test_a_run_of_an_earlier_version_is_made_longer_too(output, capsys):
    folder = output / "te-vqgan-mnist64"
    known = metrics(folder)
    del known["tokenizer_length"]
    (folder / "metrics.json").write_text(json.dumps(known))
    steps = known["tokenizer_training"]["step"]
    longer = command(train_tokenizer, output, steps + 2, "--resume")
    assert train_tokenizer.main(longer) == 0
    assert metrics(folder)["tokenizer_training"]["step"] == steps + 2


def test_what_makes_another_run_is_refused_in_a_line(output, capsys):
    folder = output / "te-vqgan-mnist64"
    config = (folder / "config.json").read_bytes()
    other = [
        *command(train_tokenizer, output, 9, "--resume"),
        *("--set", "batch_size=8"),
    ]
    assert train_tokenizer.main(other) == 1
    told = capsys.readouterr().err.strip()
    assert "batch_size=4 (now 8)" in told
    assert "steps" not in told and len(told) <= 300 + len(str(folder))
    assert (folder / "config.json").read_bytes() == config


def test_a_generator_is_made_longer_and_its_tokenizer_stays(output, capsys):
    tokenizer = str(output / "te-vqgan-mnist64" / "tokenizer")
    given = ("--tokenizer", tokenizer)
    first = command(train_generator, output, 2, *given)
    assert train_generator.main(first) == 0
    longer = command(train_generator, output, 4, *given, "--resume")
    assert train_generator.main(longer) == 0
    folder = output / "bidalle-mnist64"
    assert metrics(folder)["generator_training"]["step"] == 4
    assert metrics(folder)["generator_length"][0] == 4


def test_checkpoints_that_are_gone_are_told(output, capsys):
    folder = output / "te-vqgan-mnist64"
    steps = metrics(folder)["tokenizer_training"]["step"]
    shutil.rmtree(folder / "checkpoints" / "tokenizer")
    longer = command(train_tokenizer, output, steps + 1, "--resume")
    assert train_tokenizer.main(longer) == 0
    assert "has no checkpoint" in capsys.readouterr().out
