"""Runs that meet in one folder, and runs that go on otherwise than begun."""

import json
import os
import signal
import subprocess
import sys

import keras
import numpy as np
import pytest
from small_runs import STEPS_PER_EPOCH, batch, small_model, state, stream

from keras_bidalle.training import (
    NotFinite,
    Preempted,
    ResumableCheckpoint,
    RunFolder,
    resumable_fit,
)
from keras_bidalle.training.checkpoint_files import write_checkpoint
from keras_bidalle.training.folder_lock import FolderLock


def run(folder, optimizer=None, epochs=1, batches=stream, **kwargs):
    model = small_model(optimizer)
    checkpoint = ResumableCheckpoint(folder, every_steps=1)
    kwargs.setdefault("steps_per_epoch", STEPS_PER_EPOCH)
    history = resumable_fit(model, batches, checkpoint, epochs, **kwargs)
    return model, history


class Meanwhile(keras.callbacks.Callback):
    """Calls a function after the second step."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def on_train_batch_end(self, batch, logs=None):
        if batch == 1:
            self.function()


def test_a_second_run_in_the_folder_is_refused_and_the_first_goes_on(tmp_path):
    def second():
        with pytest.raises(BlockingIOError, match="another run") as caught:
            run(tmp_path)
        assert str(tmp_path) in str(caught.value)
        with pytest.raises(BlockingIOError, match="another run"):
            ResumableCheckpoint(tmp_path).clear()

    _, history = run(tmp_path, callbacks=[Meanwhile(second)])
    assert [row["step"] for row in history] == [STEPS_PER_EPOCH]
    # Whoever comes after it may.
    run(tmp_path)


def test_reading_checkpoints_leaves_one_that_is_being_written(
    tmp_path, monkeypatch
):
    run(tmp_path)
    wrote = np.savez

    def slowly(file, **arrays):
        wrote(file, **arrays)
        file.flush()
        assert ResumableCheckpoint(tmp_path).restore(small_model()) == 5

    monkeypatch.setattr(np, "savez", slowly)
    write_checkpoint(tmp_path / "step-000000006.npz", {"step": 6}, {})
    assert (tmp_path / "step-000000006.npz").exists()


def test_a_lock_ends_with_the_process_that_has_it(tmp_path):
    program = (
        "import fcntl, os, sys, time\n"
        "fcntl.flock(os.open(sys.argv[1], os.O_RDONLY), fcntl.LOCK_EX)\n"
        "print('held', flush=True)\n"
        "time.sleep(60)"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", program, tmp_path], stdout=subprocess.PIPE
    )
    other.stdout.readline()
    with pytest.raises(BlockingIOError):
        RunFolder(tmp_path, {"seed": 0}, resume=True)
    assert not any(tmp_path.iterdir())
    other.kill()
    other.wait()
    RunFolder(tmp_path, {"seed": 0})


def test_a_process_shares_the_lock_of_a_run_with_itself(tmp_path):
    first = RunFolder(tmp_path, {"seed": 0})
    again = RunFolder(tmp_path, {"seed": 0}, resume=True)
    with pytest.raises(BlockingIOError):
        FolderLock(tmp_path)
    del first, again
    FolderLock(tmp_path)


def test_a_newly_compiled_rate_is_the_one_that_counts(tmp_path, capsys):
    adam = keras.optimizers.Adam
    run(tmp_path, adam(1e-3))
    capsys.readouterr()
    model, _ = run(tmp_path, adam(1e-5), epochs=2)
    assert float(model.optimizer.learning_rate) == pytest.approx(1e-5)
    told = capsys.readouterr().out
    assert "1e-05 from here on" in told and "had 0.001" in told
    # As it was compiled the last time: nothing to tell.
    model, _ = run(tmp_path, adam(1e-5), epochs=3)
    assert "learning rate" not in capsys.readouterr().out


def test_a_rate_that_a_callback_lowered_stays_lowered(tmp_path):
    def half(epoch, rate):
        return rate / 2 if epoch == 0 else rate

    def lowering():
        return [keras.callbacks.LearningRateScheduler(half)]

    run(tmp_path, keras.optimizers.Adam(1e-3), callbacks=lowering())
    model, _ = run(tmp_path, keras.optimizers.Adam(1e-3), 2)
    assert float(model.optimizer.learning_rate) == pytest.approx(5e-4)


@pytest.mark.parametrize("constant_first", [True, False])
def test_a_schedule_may_follow_a_constant_rate(
    tmp_path, capsys, constant_first
):
    rates = [1e-3, keras.optimizers.schedules.CosineDecay(0.02, 50)]
    if not constant_first:
        rates.reverse()
    first, _ = run(tmp_path, keras.optimizers.Adam(rates[0]))
    capsys.readouterr()
    model = small_model(keras.optimizers.Adam(rates[1]))
    assert ResumableCheckpoint(tmp_path).restore(model) == STEPS_PER_EPOCH
    assert "schedule" in capsys.readouterr().out
    for expected, found in zip(
        first.trainable_variables, model.trainable_variables, strict=True
    ):
        np.testing.assert_array_equal(expected, found)
    assert int(model.optimizer.iterations) == STEPS_PER_EPOCH


def test_a_run_of_longer_epochs_keeps_its_history(tmp_path):
    run(tmp_path, epochs=2)
    _, history = run(tmp_path, epochs=2, steps_per_epoch=10)
    assert [row["step"] for row in history] == [5, 10, 20]


def poisoned(step):
    def make(index):
        x, y = batch(index)
        return (x, y * np.nan) if index == 3 else (x, y)

    from keras_bidalle.data.streams import BatchStream

    return BatchStream(make, start=step)


def test_a_loss_that_is_not_finite_is_told_and_not_saved(tmp_path):
    with pytest.raises(NotFinite, match="nan at step 4: step-000000003") as e:
        run(tmp_path, epochs=2, batches=poisoned)
    assert len(str(e.value)) <= 300 and "\n" not in str(e.value)
    model = small_model()
    assert ResumableCheckpoint(tmp_path).restore(model) == 3
    assert all(np.isfinite(array).all() for array in state(model))


def test_weights_that_are_not_finite_are_not_saved(tmp_path):
    model, _ = run(tmp_path)
    model.layers[0].bias.assign(np.full(16, np.inf))
    checkpoint = ResumableCheckpoint(tmp_path)
    checkpoint.set_model(model)
    with pytest.raises(NotFinite, match="bias is not finite at step 6"):
        checkpoint.save(6)
    assert max(tmp_path.iterdir()).name == "step-000000005.npz"


def test_ctrl_c_saves_the_step_it_came_in(tmp_path):
    def interrupt():
        os.kill(os.getpid(), signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(Preempted) as caught:
        run(tmp_path, callbacks=[Meanwhile(interrupt)])
    assert caught.value.code == 130
    assert ResumableCheckpoint(tmp_path).restore(small_model()) == 2
    assert signal.getsignal(signal.SIGINT) is before


def test_settings_that_may_change_are_told_and_kept(tmp_path, capsys):
    may = ("*.training.steps", "*.training.learning_rate")

    def config(steps, rate, batch_size=4):
        training = {"steps": steps, "learning_rate": rate}
        training["batch_size"] = batch_size
        return {"tokenizer": {"training": training}, "seed": 0}

    RunFolder(tmp_path, config(20, 1e-3), may_change=may)
    RunFolder(tmp_path, config(40, 1e-3), True, may_change=may)
    told = capsys.readouterr().out
    assert "tokenizer.training.steps=20 (now 40)" in told
    there = json.loads((tmp_path / "config.json").read_text())
    assert there == config(40, 1e-3)
    with pytest.raises(ValueError, match="batch_size=4 .now 8.") as caught:
        RunFolder(tmp_path, config(50, 1e-4, 8), True, may_change=may)
    assert "steps" not in str(caught.value)
    assert json.loads((tmp_path / "config.json").read_text()) == there


def test_a_setting_that_came_later_and_is_none_was_always_so(tmp_path):
    RunFolder(tmp_path, {"seed": 0})
    later = {"seed": 0, "evaluate": None, "frozen": []}
    RunFolder(tmp_path, later, resume=True)


def test_the_difference_of_long_settings_is_one_short_line(tmp_path):
    def config(value):
        return {f"setting_{i}": [value] * 1000 for i in range(50)}

    RunFolder(tmp_path / "run", config(1))
    with pytest.raises(ValueError, match="and 48 more") as caught:
        RunFolder(tmp_path / "run", config(2), resume=True)
    assert len(str(caught.value).replace(str(tmp_path), "")) <= 300


@pytest.mark.parametrize("resume", [True, False])
def test_settings_that_are_lost_or_damaged_are_named(tmp_path, resume):
    RunFolder(tmp_path, {"seed": 0}).update_metrics(psnr=1.0)
    (tmp_path / "config.json").unlink()
    with pytest.raises(ValueError, match="config.json is missing"):
        RunFolder(tmp_path, {"seed": 1}, resume=resume)
    for damaged in ("", '{"seed": ', "[" * 100_000, "\x00"):
        (tmp_path / "config.json").write_text(damaged)
        with pytest.raises(ValueError, match="config.json is damaged"):
            RunFolder(tmp_path, {"seed": 0}, resume=resume)
