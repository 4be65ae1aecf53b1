import io

import pytest
from small_runs import batch, small_model, stream

from keras_bidalle.training import RunProgress


class Terminal(io.StringIO):
    def isatty(self):
        return True


def fit(progress, **kwargs):
    small_model().fit(
        stream(0),
        epochs=2,
        steps_per_epoch=5,
        verbose=0,
        callbacks=[progress],
        **kwargs,
    )


def test_a_terminal_gets_one_line_drawn_over(monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    out = Terminal()
    fit(RunProgress("tokenizer", batch_size=8, stream=out))
    text = out.getvalue()
    assert text.count("\n") == 1 and text.endswith("\n")
    last = text.split("\r")[-1]
    assert last.startswith("tokenizer 10/10 [###############] 100% loss ")
    assert " mae " in last and "pictures/s" in last and "left" not in last


def test_a_narrow_terminal_gets_the_figures_that_fit(monkeypatch):
    progress = RunProgress("run", stream=Terminal())
    progress.set_params({"steps": 10, "epochs": 1})
    progress.on_train_begin()
    progress._first_step, progress._first_time = 1, progress._began
    now = progress._began + 2.0
    logs = {"adaptive_weight": 1.0, "loss": 0.5, "psnr": 12.25}
    for columns, seen in (
        (120, ("loss", "adaptive_weight", "psnr")),
        (80, ("loss",)),
        (20, ()),
    ):
        monkeypatch.setenv("COLUMNS", str(columns))
        progress._show(3, logs, now)
        line = progress._out.getvalue().split("\r")[-1].rstrip()
        assert len(line) < columns
        assert [n for n in logs if n in line] == [n for n in logs if n in seen]
    assert "loss 0.5" in progress._out.getvalue()


def test_a_log_file_gets_lines_at_intervals():
    out = io.StringIO()
    fit(RunProgress(log_seconds=1000.0, stream=out))
    assert "\r" not in out.getvalue()
    first, last = out.getvalue().splitlines()
    assert first.startswith("training 1/10 10% ")
    assert last.startswith("training 10/10 100% ")
    assert "steps/s" in last


def test_validation_figures_are_shown():
    out = io.StringIO()
    fit(
        RunProgress(log_seconds=1000.0, stream=out),
        validation_data=batch(99),
    )
    assert "val_loss" in out.getvalue().splitlines()[-1]


def test_time_left_is_told_from_the_speed_after_the_first_step():
    progress = RunProgress("run", batch_size=64, stream=Terminal())
    progress.set_params({"steps": 100, "epochs": 40})
    progress.on_train_begin()
    progress._began = 0.0
    progress._first_step, progress._first_time = 1, 30.0
    line = progress.line(401, {"loss": 0.51234567}, now=70.0)
    assert line == (
        "run 401/4000 [#--------------] 10% loss 0.5123 "
        "| 1:10 done, 6:00 left, 640 pictures/s"
    )
    line = progress.line(5, {}, now=30.5)
    assert "8:19 left" in line
    progress._first_time = -40000.0
    assert "left" in progress.line(2, {}, now=0.0)
    assert ":" in progress.line(2, {}, now=0.0).split("left")[0]


def test_epochs_of_unknown_length_are_refused():
    progress = RunProgress(stream=io.StringIO())
    progress.set_params({"steps": None, "epochs": 1})
    progress.on_train_begin()
    with pytest.raises(ValueError, match="pass `steps_per_epoch`"):
        progress.on_train_batch_end(0, {})
