"""Ends of a run other than its own: told to stop, no room, early enough."""

import os
import random
import signal

import keras
import numpy as np
import pytest
from small_runs import (
    STEPS_PER_EPOCH,
    batch,
    run_with,
    small_model,
    state,
    stream,
)
from test_checkpoint_files import limited_files

from keras_bidalle.training import (
    DamagedCheckpoint,
    Preempted,
    ResumableCheckpoint,
    resumable_fit,
)


def run(folder, callbacks=(), epochs=2, **kwargs):
    checkpoint = ResumableCheckpoint(folder, every_seconds=None)
    return run_with(checkpoint, callbacks, epochs, **kwargs)


def assert_same(model, other):
    for expected, found in zip(state(model), state(other), strict=True):
        np.testing.assert_array_equal(expected, found)


class SignalAt(keras.callbacks.Callback):
    """Sends this process a signal before batch number `count`."""

    def __init__(self, count, number=signal.SIGTERM, validating=False):
        super().__init__()
        self.left, self.number, self.validating = count, number, validating

    def on_train_batch_begin(self, batch, logs=None):
        self._count(not self.validating)

    def on_test_batch_begin(self, batch, logs=None):
        self._count(self.validating)

    def _count(self, counts):
        self.left -= counts
        if counts and self.left == 0:
            os.kill(os.getpid(), self.number)


@pytest.mark.parametrize("count", [3, 5, 7])
def test_sigterm_saves_the_step_it_came_in(tmp_path, capsys, count):
    keras.utils.set_random_seed(1)
    whole, _ = run(tmp_path / "whole")
    keras.utils.set_random_seed(1)
    with pytest.raises(Preempted) as caught:
        run(tmp_path / "cut", [SignalAt(count)])
    # As a shell tells of a process that SIGTERM ended.
    assert caught.value.code == 143
    saved = max((tmp_path / "cut").iterdir())
    assert saved.name == f"step-{count:09d}.npz"
    assert f"{saved} is saved" in capsys.readouterr().out
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    keras.utils.set_random_seed(2)
    resumed, history = run(tmp_path / "cut")
    assert_same(whole, resumed)
    assert [row["step"] for row in history] == [5, 10]


def test_sigterm_while_validating_loses_no_step(tmp_path):
    validation = tuple(np.concatenate([a] * 4) for a in batch(99))
    with pytest.raises(Preempted):
        run(
            tmp_path,
            [SignalAt(2, validating=True)],
            validation_data=validation,
            validation_batch_size=8,
        )
    model = small_model()
    assert ResumableCheckpoint(tmp_path).restore(model) == STEPS_PER_EPOCH


def test_other_signals_may_stop_a_run_too(tmp_path):
    checkpoint = ResumableCheckpoint(tmp_path, stop_signals=(signal.SIGUSR1,))
    with pytest.raises(Preempted) as caught:
        resumable_fit(
            small_model(),
            stream,
            checkpoint,
            epochs=1,
            steps_per_epoch=STEPS_PER_EPOCH,
            callbacks=[SignalAt(2, signal.SIGUSR1)],
        )
    assert caught.value.code == 128 + signal.SIGUSR1


def test_a_full_disk_is_told_and_the_last_checkpoint_stays(tmp_path):
    model, _ = run(tmp_path, epochs=1)
    checkpoint = ResumableCheckpoint(tmp_path)
    checkpoint.set_model(model)
    with limited_files(100), pytest.raises(OSError, match="make room") as e:
        checkpoint.save(6)
    assert "checkpoint of step 6 could not be written" in str(e.value)
    assert "step-000000005.npz is saved" in str(e.value)
    restored = small_model()
    assert ResumableCheckpoint(tmp_path).restore(restored) == 5
    assert_same(model, restored)


def test_a_run_does_not_begin_anew_by_itself(tmp_path, capsys):
    run(tmp_path)
    for path in tmp_path.iterdir():
        path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(DamagedCheckpoint, match="Remove them to begin"):
        ResumableCheckpoint(tmp_path).restore(small_model())
    assert capsys.readouterr().out.count("passed over") == 2


def test_all_state_of_an_optimizer_is_kept(tmp_path):
    def model():
        inner = keras.optimizers.Adam(
            0.05, gradient_accumulation_steps=2, use_ema=True, ema_momentum=0.5
        )
        return small_model(
            keras.optimizers.LossScaleOptimizer(inner, dynamic_growth_steps=2)
        )

    keras.utils.set_random_seed(1)
    whole, _ = run(tmp_path / "whole", model=model())
    for count in (3, 7):
        folder = tmp_path / str(count)
        keras.utils.set_random_seed(1)
        with pytest.raises(Preempted):
            run(folder, [SignalAt(count)], model=model())
        keras.utils.set_random_seed(2)
        resumed, _ = run(folder, model=model())
        assert_same(whole, resumed)
    # As when the process is killed between the last save and its own end.
    again, _ = run(tmp_path / "whole", model=model())
    assert_same(whole, again)


def test_random_state_of_the_process_is_kept(tmp_path):
    def draws():
        return [
            random.random(),
            np.random.rand(),
            float(keras.random.uniform(())),
        ]

    keras.utils.set_random_seed(1)
    draws()
    model, _ = run(tmp_path, epochs=1)
    expected = draws()
    keras.utils.set_random_seed(2)
    ResumableCheckpoint(tmp_path).restore(small_model())
    assert draws() == expected


class Losses(keras.callbacks.Callback):
    """Tells other callbacks what the validation loss was."""

    def on_epoch_end(self, epoch, logs=None):
        logs["seen"] = [3.0, 2.0, 2.5, 2.4, 1.0, 0.5][epoch]


def test_patience_is_not_refilled_by_a_restart(tmp_path):
    def stopping():
        return [
            Losses(),
            keras.callbacks.EarlyStopping("seen", patience=2, mode="min"),
        ]

    _, whole = run(tmp_path / "whole", stopping(), epochs=6)
    assert len(whole) == 4
    with pytest.raises(Preempted):
        run(tmp_path / "cut", [*stopping(), SignalAt(18)], epochs=6)
    _, history = run(tmp_path / "cut", stopping(), epochs=6)
    assert len(history) == 4
    # What has stopped early is finished.
    _, history = run(tmp_path / "cut", stopping(), epochs=6)
    assert len(history) == 4


class Counter(keras.callbacks.Callback):
    """A callback with a state of its own, an array in it."""

    count, seen = 0, np.zeros(3)

    def on_train_batch_end(self, batch, logs=None):
        self.count += 1
        self.seen = self.seen + [1, 2, 3]

    def get_state(self):
        return {"count": self.count, "seen": self.seen}

    def set_state(self, state):
        self.count, self.seen = state["count"], state["seen"]


def test_callbacks_with_a_state_keep_it(tmp_path):
    with pytest.raises(Preempted):
        run(tmp_path, [Counter(), SignalAt(4)])
    counter = Counter()
    run(tmp_path, [counter])
    assert counter.count == 10
    np.testing.assert_array_equal(counter.seen, [10, 20, 30])


def test_other_circumstances_are_told(tmp_path, capsys, monkeypatch):
    from keras_bidalle.training import checkpoints, run_state

    run(tmp_path, epochs=1)

    def elsewhere():
        return {"backend": "another", "replicas": 3}

    monkeypatch.setattr(run_state, "circumstances", elsewhere)
    assert ResumableCheckpoint(tmp_path).restore(small_model()) == 5
    out = capsys.readouterr().out
    backend = keras.backend.backend()
    assert f"with backend {backend}, this run has another" in out
    assert "with replicas 1, this run has 3" in out
    assert checkpoints.circumstances()["replicas"] == 1
