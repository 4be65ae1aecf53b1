"""`keras-bidalle train`: a folder in, a model and a report out."""

import json

import pytest
from trained import SMALL, write_pictures

from keras_bidalle import cli, commands
from keras_bidalle.programs import measured_steps, memory, probing

pytestmark = pytest.mark.any_backend


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("own") / "digits"
    write_pictures(folder, count=10)
    return folder


@pytest.fixture(scope="module")
def run(pictures, tmp_path_factory):
    output = tmp_path_factory.mktemp("runs")
    arguments = ["train", str(pictures), "--output", str(output)]
    assert cli.main([*arguments, *SMALL]) == 0
    return output / "digits"


def test_both_stages_are_trained_and_reported(run, pictures, tmp_path):
    report = (run / "evaluation" / "report.html").read_text()
    assert "text_to_image" in report
    figures = json.loads((run / "evaluation" / "evaluation.json").read_text())
    rows = figures["figures"]["reconstruction"].values()
    assert 1 in {row["count"] for row in rows}
    # What only a cut run has.
    assert not (run / "unfinished").exists()
    caption = (pictures / "0.txt").read_text().strip()
    drawn = ["--model", str(run), "--output", str(tmp_path)]
    assert cli.main(["draw", caption, *drawn]) == 0
    assert (tmp_path / "000-0.png").is_file()


def test_a_run_goes_on_with_one_option(run, pictures, capsys):
    before = (run / "evaluation" / "config.json").read_text()
    arguments = ["train", str(pictures), "--output", str(run.parent)]
    again = [*arguments, "--unmeasured", "--precision", "float32", "--resume"]
    assert cli.main([*again, "--steps", "6"]) == 0
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["generator_length"][0] == 6
    # It is measured anew.
    assert (run / "evaluation" / "config.json").read_text() != before
    assert cli.main(arguments) == 1
    assert "--resume" in capsys.readouterr().err


def in_this_process(request):
    # To compile takes minutes: where a run starts, nothing is.
    assert request["whole"] or not request["jit"]
    found = measured_steps.measured(request, request["policies"][0])
    return {"ready": 1.0, "policies": {request["policies"][0]: found}}


def test_a_dry_run_tells_and_leaves_nothing(
    pictures, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(probing, "in_another_process", in_this_process)
    monkeypatch.setattr(measured_steps, "_SECONDS", 0.0)
    # The peak of this process is that of all tests before.
    monkeypatch.setattr(memory, "available", lambda: 2**50)
    output = tmp_path / "runs"
    arguments = ["train", str(pictures), "--output", str(output), *SMALL]
    assert cli.main([*arguments, "--dry-run"]) == 0
    told = capsys.readouterr().out
    assert "tokenizer: 4 steps" in told and "GiB of memory" in told
    assert "vocabulary" in told and not output.exists()


def test_what_does_not_fit_is_refused_with_the_batch_that_would(
    pictures, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(probing, "in_another_process", in_this_process)
    # As if each picture took 100 MiB, of 1 GiB that are free.
    sizes = []

    def peak():
        return sizes[-1] * 100 * 2**20

    def fit(model, batch, steps):
        sizes.append(len(batch))
        return 1.0

    monkeypatch.setattr(measured_steps, "_fit", fit)
    monkeypatch.setattr(memory, "taken", lambda: 0)
    monkeypatch.setattr(memory, "peak", peak)
    monkeypatch.setattr(memory, "available", lambda: 2**30)
    arguments = ["train", str(pictures), "--output", str(tmp_path), *SMALL]
    arguments.remove("--unmeasured")
    large = [*arguments, "--set", "tokenizer.batch_size=20"]
    assert cli.main(large) == 1
    told = capsys.readouterr().err
    # 0.9 of 1 GiB hold 9 times 100 MiB.
    assert "tokenizer" in told and "batch_size=9 fits" in told
    assert sizes == [1, 3] and not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    "options,message",
    [
        (["--set", "width=3"], "generator.NAME"),
        (["--captions", "missing.csv"], "missing.csv"),
        (["--held-out", "2"], "between 0 and 1"),
    ],
)
def test_bad_options_are_one_line(options, message, pictures, capsys):
    assert cli.main(["train", str(pictures), *SMALL, *options]) == 1
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 1 and message in told[0]


def test_a_model_is_tuned_to_other_words(run, tmp_path, capsys):
    folder = tmp_path / "other words"
    batch = write_pictures(folder, count=6)
    for i in range(len(batch.captions)):
        (folder / f"{i}.txt").write_text(f"a drawing, {i % 2}\n")
    arguments = ["train", str(folder), "--output", str(tmp_path / "runs")]
    arguments += ["--unmeasured", "--precision", "float32", "--steps", "2"]
    arguments += ["--set", "generator.batch_size=2", "--held-out", "0"]
    assert cli.main([*arguments, "--start-from", str(run)]) == 0
    told = capsys.readouterr().out
    tuned = tmp_path / "runs" / "other words"
    assert "words are known" in told
    # What a shell can take as it is.
    assert f"--model '{tuned}'" in told
    tokenizers = [
        commands.text_image_model(path).image_tokenizer for path in (run, tuned)
    ]
    first, second = (each.get_weights() for each in tokenizers)
    assert all((a == b).all() for a, b in zip(first, second, strict=True))
    # What it was begun with has to be said again.
    assert cli.main([*arguments, "--resume"]) == 1
    assert "--start-from" in capsys.readouterr().err
    assert cli.main([*arguments, "--codes-only"]) == 1
