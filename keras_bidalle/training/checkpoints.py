"""Checkpoints that a killed run goes on from, at the step it had saved.

`keras.callbacks.BackupAndRestore` restarts the epoch, skips optimizers it did
not build, and trusts whatever lies in its folder.
"""

import contextlib
import math
import numbers
import pathlib
import signal
import time

import keras

from keras_bidalle.backend import replicas
from keras_bidalle.backend.optimizers import scales_loss
from keras_bidalle.backend.random_state import random_state, set_random_state
from keras_bidalle.training.callback_states import (
    callback_states,
    restore_callbacks,
    still_end,
)
from keras_bidalle.training.checkpoint_files import CheckpointFolder
from keras_bidalle.training.run_state import (
    NotFinite,
    all_hand_in,
    as_array,
    assign_all,
    assign_optimizer,
    circumstances,
    learning_rates,
    not_finite,
    tell_changes,
)
from keras_bidalle.training.steps import StepCallback
from keras_bidalle.training.stop_signals import Preempted, StopSignals
from keras_bidalle.validation import refused


class ResumableCheckpoint(StepCallback):
    """Saves a run so that it can go on after a kill at any moment.

    Everything that training changes is saved: weights, non-trainable
    variables (codebook statistics, seed generators), the optimizer's state
    (averages of weights, gradients so far, loss scale), metrics, callbacks
    that have a state (`get_state()` to a dict of JSON values and arrays, and
    `set_state(dict)`; those of Keras are known), the random state of Python,
    NumPy and Keras, the step, which is the place in the data, and the logs of
    finished epochs.

    A resumed run equals one that never stopped, on the same backend and with
    as many replicas, provided that batch i of the run depends on i alone
    (see `keras_bidalle.data.as_dataset`) and that randomness comes from
    `keras.random.SeedGenerator`s held by layers. On another backend or with
    another number of replicas it goes on too, and says what changes.

    Checkpoints are written at each epoch's end and, within an epoch, every
    `every_seconds` or `every_steps`. Where several processes train together
    all of them have this callback, and a folder that all can read; the first
    one writes, and its random state (Python, NumPy) is kept.

    On SIGTERM, which schedulers send before they take a machine away, and on
    Ctrl-C the step is finished and saved and the process ends with the status
    143 or 130, whichever process it came to. A second Ctrl-C ends it at once.

    A loss or weights that are not finite end the run, and no checkpoint of
    them is written. (Where a `LossScaleOptimizer` passes over such steps,
    the weights alone are looked at.)

    Args:
        folder: str or `pathlib.Path`, for this run's checkpoints only.
        every_seconds: float or `None`, time between saves in an epoch.
        every_steps: int or `None`, steps between saves in an epoch.
        keep: int, how many checkpoints stay. With 2 or more, one that the
            disk damaged can be passed over for the one before it.
        stop_signals: tuple of `signal.Signals`, on which to save and end.

    Raises:
        ValueError: if an argument is out of range.

    Example:

    ```python
    checkpoint = ResumableCheckpoint("runs/first/checkpoints")
    history = resumable_fit(
        model, stream, checkpoint, epochs=50, steps_per_epoch=200
    )
    ```
    """

    def __init__(
        self,
        folder: str | pathlib.Path,
        every_seconds: float | None = 60.0,
        every_steps: int | None = None,
        keep: int = 2,
        stop_signals: tuple = (signal.SIGTERM, signal.SIGINT),
    ) -> None:
        super().__init__()
        given = dict(every_seconds=every_seconds, every_steps=every_steps)
        for name, value in given.items():
            is_number = isinstance(value, numbers.Real)
            if value is not None and not (is_number and value > 0):
                raise refused("be positive or None", name, **{name: value})
        self._saved = CheckpointFolder(folder, keep)
        self.every_seconds = every_seconds
        self.every_steps = every_steps
        self.stop_signals = StopSignals(stop_signals)
        # Known to `resumable_fit`, which fills them in.
        self.callbacks: list = []
        self.validates = False
        self._saved_at = time.monotonic()
        self._begin_anew()

    def _begin_anew(self) -> None:
        self.history: list[dict] = []
        # Whether a callback had ended the run before its last epoch.
        self.stopped = False
        self._restored = self._cut_epoch = None
        self._saved_step = 0
        # Before any callback changes them.
        self._rates: dict | None = None

    def restore(self, model: keras.Model) -> int:
        """Puts the newest undamaged checkpoint into a compiled model.

        Args:
            model: a built and compiled `keras.Model`. Its optimizer is built
                if it was not yet.

        Returns:
            int, how many steps the run has done; 0 where nothing is saved.

        Raises:
            ValueError: if the model is not built or not compiled, or has
                another shape than the checkpoint's.
            DamagedCheckpoint: if there are checkpoints and none can be read.
        """
        self._check(model)
        first = replicas.is_first_process()
        if first:
            self._saved.remove_unfinished()
        found = self._newest() if first else None
        # All processes go on from the step that the first one found.
        step = replicas.from_first_process(found[0]["step"] if found else 0)
        if step and not first:
            found = self._saved.read(step)
        return self._put_back(model, found)

    def _newest(self):
        return self._saved.read_newest()

    @property
    def folder(self) -> pathlib.Path:
        """Where the checkpoints are."""
        return self._saved.path

    @property
    def is_empty(self) -> bool:
        """Whether nothing is saved yet."""
        return not self._saved.files()

    def alone(self) -> contextlib.AbstractContextManager:
        """A context in which no other run writes into the folder.

        Raises:
            BlockingIOError: if another one is at work there.
        """
        return self._saved.alone()

    def _check(self, model):
        if not model.built or getattr(model, "optimizer", None) is None:
            raise ValueError(
                "`model` must be built and compiled before a checkpoint can "
                f"be restored. Received: built={model.built}, "
                f"optimizer={getattr(model, 'optimizer', None)}"
            )
        if not model.optimizer.built:
            model.optimizer.build(model.trainable_variables)

    def _put_back(self, model, found):
        """Makes the run one that a checkpoint, or `None`, has left."""
        self._begin_anew()
        self._rates = learning_rates(model.optimizer)
        if found is None:
            return 0
        state, groups = found
        path = self._saved.file(state["step"])
        assign_all(model.variables, groups["model"], "model", path)
        assign_optimizer(
            model.optimizer,
            groups["optimizer"],
            state.get("learning_rates"),
            path,
        )
        if replicas.is_first_process():
            set_random_state(state["random"])
            tell_changes(path, state)
        self.history = state["history"]
        self._saved_step = state["step"]
        self.stopped = state["stopped"]
        self._restored = state["callbacks"], groups.get("callbacks", [])
        self._cut_epoch = groups["model"], groups["metrics"]
        return state["step"]

    def restore_callbacks(self) -> None:
        """Puts back the state of the other callbacks, once they have begun."""
        if self._restored is not None:
            restore_callbacks(self.callbacks, *self._restored)
            # With more patience than then it goes on.
            if self.stopped:
                self.stopped = still_end(self.callbacks, self._restored[0])

    def clear(self) -> None:
        """Forgets the checkpoints in the folder: the next run starts anew."""
        with self.alone():
            self._saved.clear()
        self.history = []

    def on_train_begin(self, logs: dict | None = None) -> None:
        self._saved_at = time.monotonic()
        if self._rates is None:
            self._rates = learning_rates(self.model.optimizer)
        self.stop_signals.begin()

    def on_train_end(self, logs: dict | None = None) -> None:
        self.stop_signals.end()

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        super().on_epoch_begin(epoch, logs)
        # By steps: epochs were of another length if the run is made longer.
        begun = self.steps_done()
        self.history = [row for row in self.history if row["step"] <= begun]
        cut, self._cut_epoch = self._cut_epoch, None
        if cut is not None and self._saved_step > begun:
            # Keras has begun the epoch's metrics anew, with what they count
            # in the model. Before now they may not have been there.
            variables = [*self.model.variables, *self.model.metrics_variables]
            arrays = [array for group in cut for array in group]
            if [v.shape for v in variables] == [a.shape for a in arrays]:
                for variable, array in zip(variables, arrays, strict=True):
                    variable.assign(array)

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        step = self.steps_done(batch)
        loss = (logs or {}).get("loss", 0.0)
        if not math.isfinite(loss) and not scales_loss(self.model.optimizer):
            raise self._not_finite(f"The loss is {loss}", step)
        if batch + 1 >= self.epoch_steps:
            # on_epoch_end follows, and knows the epoch's logs; but what
            # validates may take longer than a scheduler waits.
            if self.validates:
                self._add_to_history(logs, step)
                self.sync_weights()
                self.save(step)
                self.history.pop()
            return
        stop = self._must_stop()
        if stop or self._due(step):
            self.sync_weights()
            self.save(step)
        if stop:
            self._stop()

    def on_test_batch_end(self, batch: int, logs: dict | None = None) -> None:
        # Several processes must stop together: they do at the epoch's end.
        if self.stop_signals.received and replicas.data_shard()[1] == 1:
            self._stop()

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        step = self.steps_done(self.epoch_steps - 1)
        self._add_to_history(logs, step)
        self.save(step)
        if self._must_stop():
            self._stop()

    def _not_finite(self, what, step):
        saved = self._saved.file(self._saved_step).name
        saved = f"{saved} is saved" if self._saved_step else "nothing is saved"
        return NotFinite(
            f"{what} at step {step}: {saved}, and this state is not. A lower "
            "learning rate, a smaller `clip_norm` or float32 may help; look "
            "at the data of the steps before, too."
        )

    def _must_stop(self):
        return replicas.any_process(self.stop_signals.received is not None)

    def _add_to_history(self, logs, step):
        row = {"epoch": self._epoch, "step": step}
        row.update((name, float(value)) for name, value in (logs or {}).items())
        self.history.append(row)

    def _due(self, step):
        steps, seconds = self.every_steps, self.every_seconds
        if steps is not None and step - self._saved_step >= steps:
            return True
        passed = time.monotonic() - self._saved_at
        late = seconds is not None and passed >= seconds
        # Clocks differ, and all processes take part in a save.
        return replicas.any_process(late) if all_hand_in() else late

    def _stop(self):
        number = self.stop_signals.received or self.stop_signals.signals[0]
        # A launcher ends all processes once the first of them has ended, so
        # none may go before the checkpoint is written.
        replicas.any_process(False)
        if replicas.is_first_process():
            print(
                f"Told to stop ({signal.Signals(number).name}): "
                f"{self._saved.file(self._saved_step)} is saved.",
                flush=True,
            )
        raise Preempted(number)

    def save(self, step: int) -> None:
        """Writes a checkpoint of `step` and removes those beyond `keep`.

        Raises:
            NotFinite: if the weights are not finite; nothing is written.
            OSError: if it cannot be written. The ones before it stay.
        """
        self._saved_at = time.monotonic()
        first = replicas.is_first_process()
        if not (first or all_hand_in()):
            self._saved_step = step
            return
        groups = {
            "model": [as_array(v) for v in self.model.variables],
            "optimizer": [as_array(v) for v in self.model.optimizer.variables],
            "metrics": [as_array(v) for v in self.model.metrics_variables],
        }
        for name in not_finite(self.model, groups["model"]):
            raise self._not_finite(f"{name} is not finite", step)
        self._saved_step = step
        if not first:
            return
        states, groups["callbacks"] = callback_states(self.callbacks)
        state = {
            "step": step,
            "history": self.history,
            "stopped": bool(self.model.stop_training),
            "callbacks": states,
            "random": random_state(),
            "learning_rates": self._rates,
            "circumstances": circumstances(),
        }
        self._saved.write(state, groups)
