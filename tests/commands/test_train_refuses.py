"""What `keras-bidalle train` finds wrong before anything is trained."""

import json
import pathlib
import types

import pytest
from PIL import Image
from trained import SMALL, write_pictures

from keras_bidalle import cli, data
from keras_bidalle.programs import probing, training_program

pytestmark = pytest.mark.any_backend


@pytest.fixture(autouse=True)
def nothing_is_trained(monkeypatch):
    def fit(*arguments):
        raise ValueError("a stage is trained")

    stages = ("TokenizerStage", "GeneratorStage")
    for stage in stages:
        monkeypatch.setattr(getattr(training_program, stage), "fit", fit)


@pytest.fixture
def train(tmp_path, capsys):
    """Runs the command; gives what it prints, and what it left."""
    folder = tmp_path / "digits"
    write_pictures(folder, count=8)

    def run(*options):
        place = ["--output", str(tmp_path / "runs")]
        assert cli.main(["train", str(folder), *place, *SMALL, *options]) == 1
        out, error = capsys.readouterr()
        assert len(error.splitlines()) == 1
        left = (tmp_path / "runs" / "digits").exists()
        return types.SimpleNamespace(out=out, error=error, left=left)

    run.folder = folder
    return run


def write_captions(folder, caption):
    for path in folder.glob("*.txt"):
        path.write_text(caption)


def test_captions_of_which_none_fits(train):
    write_captions(train.folder, " ".join(f"w{i}" for i in range(130)))
    found = train()
    assert "--set generator.text_length=" in found.error and not found.left
    # Whoever chose the length is told too.
    short = ("--preset-of-data", "none", "--set", "generator.text_length=8")
    found = train(*short)
    assert "--set generator.text_length=..." in found.error and not found.left


@pytest.mark.parametrize("chosen", ["auto", "none"])
def test_a_vocabulary_without_room_for_the_letters(train, chosen):
    few = ("--set", "generator.text_vocabulary_size=10")
    found = train("--preset-of-data", chosen, *few)
    assert "`vocabulary_size` must be at least" in found.error
    assert not found.left


@pytest.mark.parametrize("stage", ["tokenizer", "generator"])
def test_a_figure_that_a_stage_does_not_have(train, stage):
    found = train("--set", f"{stage}.keep_best=nope")
    assert "`keep_best` must be one of" in found.error and not found.left
    assert "loss" in found.error and "nope" in found.error
    # These it has.
    figure = {"tokenizer": "quantizer_loss", "generator": "image_loss"}[stage]
    found = train("--set", f"{stage}.keep_best={figure}")
    assert "a stage is trained" in found.error


def test_held_out_captions_that_cannot_be_learned_judge_nothing(train):
    apart = data.hold_out(data.captioned_folder(train.folder), 0.1)[1]
    picture = pathlib.Path(apart.name(0))
    picture.with_suffix(".txt").write_text("MY JAZZ FOX ☃")
    found = train()
    assert "a stage is trained" in found.error
    assert "nothing to judge by" in found.out


def test_pictures_that_cannot_be_read_judge_nothing(train, capsys):
    apart = data.hold_out(data.captioned_folder(train.folder), 0.1)[1]
    pathlib.Path(apart.name(0)).write_bytes(b"no picture")
    assert "a stage is trained" in train().error


@pytest.mark.parametrize(
    "options,message",
    [
        (["--lpips", "no-such.npz"], "no-such.npz"),
        (["--set", "tokenizer.image_shape=64"], "`image_shape` must be"),
        (["--codes-only"], "needs --start-from"),
        (["--start-from", "bidalle-mnist"], "--tokenizer-steps must be left"),
    ],
)
def test_options_that_can_do_nothing(train, options, message):
    found = train(*options)
    assert message in found.error and not found.left


def test_the_survey_tells_what_the_options_made_of_it(train):
    told = train().out
    assert "generator: 4 steps" in told and "tokenizer: 4 steps" in told


def test_a_run_that_goes_on_has_the_size_that_it_began_with(train, tmp_path):
    assert "a stage is trained" in train("--size", "small-64").error
    begun = json.loads((tmp_path / "runs/digits/config.json").read_text())
    assert begun["size"] == "small-64"
    found = train("--resume", "--size", "small-128")
    assert "--size must be" in found.error and "small-64" in found.error
    for size in ([], ["--size", "small-64"]):
        assert "a stage is trained" in train("--resume", *size).error


def test_unmeasured_runs_measure_nothing(train, monkeypatch):
    names = ["float32", "mixed_bfloat16"]
    monkeypatch.setattr(probing, "candidates", lambda: names)
    monkeypatch.setattr(probing, "in_another_process", lambda request: 1 / 0)
    assert "a stage is trained" in train("--precision", "auto").error


def test_one_picture_is_told_of_the_option(tmp_path, capsys):
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    (tmp_path / "a.txt").write_text("a square")
    assert cli.main(["train", str(tmp_path)]) == 1
    assert "--held-out 0" in capsys.readouterr().err
