"""`keras-bidalle evaluate`: what it takes for a model, and for data."""

import argparse
import json

import fine_tuning
import pytest
from small_models import small_model

from keras_bidalle import cli, data, programs
from keras_bidalle.evaluation import program, sources

pytestmark = pytest.mark.any_backend


def test_the_folder_of_a_run_is_its_model(tmp_path):
    small_model("plain").save_to_preset(tmp_path / "model")
    asked = sources.opened(program.parse([str(tmp_path)]))
    assert asked.name == "TextImageModel"


def test_pairs_may_have_one_file_of_captions(tmp_path, capsys):
    parser = argparse.ArgumentParser()
    programs.add_source(parser)
    (tmp_path / "a.png").touch()
    (tmp_path / "b.png").touch()
    (tmp_path / "c.csv").write_text("file,caption\na.png,a square\n")
    options = parser.parse_args(["--pairs", str(tmp_path)])
    source = programs.source_of(options, captions=True)
    assert source.read(0).captions == ["a square"]
    assert "1 pictures without a caption" in capsys.readouterr().out


@pytest.mark.parametrize(
    "options,message",
    [
        (["--captions", "c.csv"], "--captions needs --pairs"),
        (["--caption-column", "name"], "--caption-column needs --pairs"),
        (["--tfds-captions", "label"], "--tfds-captions needs --tfds"),
    ],
)
def test_options_of_other_data_are_told(options, message, tmp_path, capsys):
    line = ["evaluate", "te-vqgan-mnist", "--images", str(tmp_path), *options]
    assert cli.main(line) == 1
    assert message in capsys.readouterr().err


def test_two_trainings_are_compared_without_a_report(tmp_path):
    metrics = {"minutes": 2.0, "generator_training": {"loss": 3.0}}
    (tmp_path / "metrics.json").write_text(json.dumps(metrics))
    assert fine_tuning.figures_of(tmp_path) == {"minutes": 2.0}


def test_a_share_of_nothing_holds_nothing_out():
    source = data.FakeImages(4, size=8)
    assert programs.divided(source, 0.0) == (source, None)
