import os
import pathlib
import signal
import subprocess
import sys
import time

import keras
import numpy as np
import pytest
from small_runs import (
    batch,
    run_with,
    small_model,
    state,
    stream,
)

from keras_bidalle.training import ResumableCheckpoint, resumable_fit

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
SAVING = pathlib.Path(__file__).with_name("continuous_saving.py")


class StopAt(keras.callbacks.Callback):
    """Ends the process's work as a kill does, without any clean-up."""

    def __init__(self, seen):
        super().__init__()
        self.seen = seen
        self.count = 0

    def on_train_batch_end(self, batch, logs=None):
        self.count += 1
        if self.count == self.seen:
            raise KeyboardInterrupt


def run(folder, callbacks=(), epochs=3, **kwargs):
    checkpoint = ResumableCheckpoint(folder, every_steps=1)
    return run_with(checkpoint, callbacks, epochs, **kwargs)


@pytest.mark.parametrize("seen", [2, 4, 6, 8])
def test_a_resumed_run_equals_one_that_never_stopped(tmp_path, seen):
    keras.utils.set_random_seed(1)
    whole, whole_history = run(tmp_path / "whole")

    keras.utils.set_random_seed(1)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "cut", [StopAt(seen)])
    # Another start: everything must come from the checkpoint.
    keras.utils.set_random_seed(2)
    resumed, resumed_history = run(tmp_path / "cut")

    for expected, found in zip(state(whole), state(resumed), strict=True):
        np.testing.assert_array_equal(expected, found)
    assert [row["step"] for row in resumed_history] == [5, 10, 15]
    # An epoch that was cut is logged as a whole.
    for expected, found in zip(whole_history, resumed_history, strict=True):
        assert expected == pytest.approx(found, rel=1e-6)


@pytest.mark.parametrize("seen", [5, 7, 11])
def test_the_last_epoch_may_be_longer(tmp_path, seen):
    def averaging():
        return small_model(keras.optimizers.Adam(0.05, use_ema=True))

    long = {"epochs": 2, "last_steps": 8}
    keras.utils.set_random_seed(1)
    whole, history = run(tmp_path / "whole", model=averaging(), **long)
    assert [row["step"] for row in history] == [5, 13]
    keras.utils.set_random_seed(1)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "cut", [StopAt(seen)], model=averaging(), **long)
    resumed, history = run(tmp_path / "cut", model=averaging(), **long)
    assert [row["step"] for row in history] == [5, 13]
    for expected, found in zip(state(whole), state(resumed), strict=True):
        np.testing.assert_array_equal(expected, found)
    # Made longer, it has epochs of one length from there on.
    _, history = run(tmp_path / "cut", epochs=4, model=averaging())
    assert [row["step"] for row in history] == [5, 15, 20]


def test_averaged_weights_stay_apart_until_the_end(tmp_path):
    def averaging():
        return small_model(keras.optimizers.Adam(0.05, use_ema=True))

    keras.utils.set_random_seed(1)
    whole, _ = run(tmp_path / "whole", model=averaging())
    keras.utils.set_random_seed(1)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "cut", [StopAt(7)], model=averaging())
    resumed, _ = run(tmp_path / "cut", model=averaging())
    for expected, found in zip(state(whole), state(resumed), strict=True):
        np.testing.assert_array_equal(expected, found)


def test_a_finished_run_is_not_trained_again(tmp_path):
    finished, history = run(tmp_path)
    again, again_history = run(tmp_path, [StopAt(1)])
    assert again_history == history
    for expected, found in zip(state(finished), state(again), strict=True):
        np.testing.assert_array_equal(expected, found)


def test_a_run_can_be_made_longer(tmp_path):
    run(tmp_path, epochs=1)
    _, history = run(tmp_path, epochs=2)
    assert [row["epoch"] for row in history] == [0, 1]


def test_only_the_newest_checkpoints_stay(tmp_path):
    run(tmp_path)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["step-000000014.npz", "step-000000015.npz"]


def test_saves_come_after_the_given_time(tmp_path):
    checkpoint = ResumableCheckpoint(tmp_path, every_seconds=1e-9, keep=100)
    resumable_fit(
        small_model(), stream, checkpoint, epochs=1, steps_per_epoch=3
    )
    assert len(list(tmp_path.iterdir())) == 3
    checkpoint = ResumableCheckpoint(tmp_path / "slow", keep=100)
    resumable_fit(
        small_model(), stream, checkpoint, epochs=1, steps_per_epoch=3
    )
    assert len(list((tmp_path / "slow").iterdir())) == 1


def test_it_works_as_a_callback_of_plain_fit(tmp_path):
    model = small_model()
    model.fit(
        stream(0),
        epochs=2,
        steps_per_epoch=5,
        verbose=0,
        callbacks=[ResumableCheckpoint(tmp_path)],
    )
    restored = small_model()
    assert ResumableCheckpoint(tmp_path).restore(restored) == 10
    for expected, found in zip(state(model), state(restored), strict=True):
        np.testing.assert_array_equal(expected, found)


@pytest.mark.parametrize("damage", ["truncate", "flip", "empty", "garbage"])
def test_a_damaged_checkpoint_is_passed_over(tmp_path, capsys, damage):
    run(tmp_path)
    newest = sorted(tmp_path.iterdir())[-1]
    content = bytearray(newest.read_bytes())
    if damage == "truncate":
        content = content[: len(content) // 2]
    elif damage == "flip":
        content[len(content) // 3] ^= 0xFF
    elif damage == "empty":
        content = b""
    else:
        content = b"not a checkpoint"
    newest.write_bytes(bytes(content))
    assert ResumableCheckpoint(tmp_path).restore(small_model()) == 14
    assert f"{newest} is damaged" in capsys.readouterr().out


def test_nothing_saved_means_step_zero(tmp_path):
    assert ResumableCheckpoint(tmp_path / "new").restore(small_model()) == 0


def test_clear_starts_anew(tmp_path):
    run(tmp_path)
    checkpoint = ResumableCheckpoint(tmp_path)
    checkpoint.clear()
    assert checkpoint.restore(small_model()) == 0
    assert not list(tmp_path.iterdir())


def test_half_written_files_are_removed_and_never_read(tmp_path):
    run(tmp_path)
    half = tmp_path / ".step-000000016.npz.abc.npz"
    half.write_bytes(b"half")
    assert ResumableCheckpoint(tmp_path).restore(small_model()) == 15
    assert not half.exists()


def test_another_model_is_refused_by_the_variable_that_differs(tmp_path):
    run(tmp_path)
    with pytest.raises(ValueError, match="kernel has shape .4, 8., .*4, 16"):
        ResumableCheckpoint(tmp_path).restore(small_model(units=8))


def test_another_optimizer_is_refused(tmp_path):
    run(tmp_path)
    model = small_model(keras.optimizers.SGD(0.1))
    with pytest.raises(ValueError, match="does not fit the optimizer"):
        ResumableCheckpoint(tmp_path).restore(model)


def test_a_model_without_optimizer_is_refused(tmp_path):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    with pytest.raises(ValueError, match="must be built and compiled"):
        ResumableCheckpoint(tmp_path).restore(model)


@pytest.mark.parametrize(
    "arguments", [{"keep": 0}, {"every_steps": 0}, {"every_seconds": -1.0}]
)
def test_arguments_out_of_range_are_named(tmp_path, arguments):
    (name,) = arguments
    with pytest.raises(ValueError, match=f"`{name}` must be"):
        ResumableCheckpoint(tmp_path, **arguments)


def test_several_optimizers_are_restored(tmp_path):
    def adversarial():
        default = keras.optimizers.Adam(0.01)
        mapped = {".*bias.*": keras.optimizers.Adam(0.1)}
        mapping = keras.optimizers.OptimizerMap(default, mapped)
        return small_model(keras.optimizers.MultiOptimizer(mapping))

    model, _ = run(tmp_path, model=adversarial())
    restored = adversarial()
    assert ResumableCheckpoint(tmp_path).restore(restored) == 15
    for expected, found in zip(state(model), state(restored), strict=True):
        np.testing.assert_array_equal(expected, found)
    assert len(state(restored)) > 2 * len(restored.variables)


def test_bfloat16_weights_come_back_exactly(tmp_path):
    keras.config.set_dtype_policy("bfloat16")
    try:
        model, restored = small_model(), small_model()
    finally:
        keras.config.set_dtype_policy("float32")
    x, y = batch(0)
    model.train_on_batch(x, y)
    checkpoint = ResumableCheckpoint(tmp_path)
    checkpoint.set_model(model)
    checkpoint.save(1)
    ResumableCheckpoint(tmp_path).restore(restored)
    for expected, found in zip(state(model), state(restored), strict=True):
        np.testing.assert_array_equal(
            expected.astype("float32"), found.astype("float32")
        )


def kill_after(folder, step, delay):
    """Trains in another process and kills it `delay` s after `step`."""
    process = subprocess.Popen(
        [sys.executable, str(SAVING), str(folder)],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )
    try:
        # Starting up takes long on a busy machine.
        deadline = time.monotonic() + 300
        while not any(
            path.name > f"step-{step:09d}.npz"
            for path in folder.glob("step-*.npz")
        ):
            assert process.poll() is None, "it ended by itself"
            assert time.monotonic() < deadline, "it saved nothing in time"
            time.sleep(0.02)
        time.sleep(delay)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


def test_kill_9_while_saving_leaves_a_state_that_loads(tmp_path):
    last = 0
    for delay in (0.03, 0.11):
        kill_after(tmp_path, step=last + 5, delay=delay)
        model = small_model(units=4096)
        step = ResumableCheckpoint(tmp_path).restore(model)
        assert step > last + 5
        assert all(np.all(np.isfinite(array)) for array in state(model))
        last = step


@pytest.mark.parametrize("name", ["epochs", "steps_per_epoch", "last_steps"])
def test_lengths_must_be_positive(tmp_path, name):
    lengths = {"epochs": 1, "steps_per_epoch": 1, name: 0}
    with pytest.raises(ValueError, match=f"`{name}` must be a positive"):
        resumable_fit(
            small_model(), stream, ResumableCheckpoint(tmp_path), **lengths
        )


def test_callbacks_see_one_run_with_its_batch_numbers(tmp_path):
    class Seen(keras.callbacks.Callback):
        def __init__(self):
            super().__init__()
            self.events = []

        def on_train_begin(self, logs=None):
            self.events.append("begin")

        def on_train_batch_end(self, batch, logs=None):
            self.events.append((self.epoch, batch))

        def on_epoch_begin(self, epoch, logs=None):
            self.epoch = epoch

        def on_train_end(self, logs=None):
            self.events.append("end")

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, [StopAt(4)], epochs=2)
    seen = Seen()
    run(tmp_path, [seen], epochs=2)
    rest = [(0, 3), (0, 4), *((1, i) for i in range(5))]
    assert seen.events == ["begin", *rest, "end"]


def test_early_stopping_in_the_rest_of_an_epoch_ends_the_run(tmp_path):
    class Stop(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.stop_training = True

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, [StopAt(3)])
    _, history = run(tmp_path, [Stop()])
    assert len(history) == 1


def test_validation_is_part_of_the_history(tmp_path):
    _, history = run(tmp_path, epochs=1, validation_data=batch(999))
    assert "val_loss" in history[0]
