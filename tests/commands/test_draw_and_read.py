"""The installed command draws and reads, with a shipped preset or another."""

import pathlib
import warnings

import numpy as np
import pytest
from PIL import Image
from small_models import CAPTIONS, small_model

from keras_bidalle import cli, preset_names
from keras_bidalle.commands import draw, generation, train

pytestmark = pytest.mark.any_backend


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "model"
    small_model("plain").save_to_preset(folder)
    return folder.parent


def test_what_is_drawn_is_read(model, tmp_path, capsys):
    output = str(tmp_path / "drawn")
    options = ["--model", str(model), "--output", output]
    assert cli.main(["draw", CAPTIONS[0], "nothing €", *options]) == 1
    assert "€" in capsys.readouterr().err
    file = pathlib.Path(output, "000-0.png")
    with Image.open(file) as picture:
        assert np.asarray(picture).ndim == 3

    arguments = ["read", str(file), "--samples", "2", "--model", str(model)]
    assert cli.main(arguments) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert all(line.startswith(f"{file}\t") for line in lines)
    assert cli.main(["read", "missing.png", "--model", str(model)]) == 1
    assert "missing.png" in capsys.readouterr().err


def test_the_default_is_the_first_that_is_shipped(monkeypatch):
    assert draw.parse(["a"]).model == generation.default_preset()
    assert generation.default_preset() in preset_names()
    monkeypatch.setattr(
        generation, "DEFAULT_PRESETS", ("not-shipped", "bidalle-mnist")
    )
    assert generation.default_preset() == "bidalle-mnist"


@pytest.mark.parametrize("resumes", [True, False])
def test_ctrl_c_is_a_line_and_no_traceback(monkeypatch, capsys, resumes):
    def stopped(options):
        raise KeyboardInterrupt

    module = train if resumes else draw
    monkeypatch.setattr(module, "run", stopped)
    name = module.__name__.split(".")[-1]
    assert cli.main([name, "x"]) == 130
    told = capsys.readouterr().err.split("\n")
    assert told == ["", "stopped" + ", --resume goes on" * resumes, ""]


def test_a_large_picture_is_opened_without_a_warning(monkeypatch, recwarn):
    def warned(options):
        warnings.warn("large", Image.DecompressionBombWarning, stacklevel=1)

    monkeypatch.setattr(draw, "run", warned)
    assert cli.main(["draw", "x"]) == 0 and not recwarn.list


def test_without_a_command_it_says_how_it_is_used(capsys):
    assert cli.main([]) == 2
    assert "draw" in capsys.readouterr().err
