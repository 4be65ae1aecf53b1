"""Checkpoints that a killed run goes on from, at the step it had saved.

`keras.callbacks.BackupAndRestore` restarts the epoch, skips optimizers it
did not build, and trusts whatever lies in its folder. Here a checkpoint is
one zip file (NumPy's .npz) of every variable: its checksums find damage, its
rename is atomic, and the newest undamaged one wins.
"""

import json
import os
import pathlib
import time
import zipfile

import numpy as np
from keras import ops

from keras_bidalle.files import atomic_path
from keras_bidalle.training.steps import StepCallback

FORMAT = 1


class ResumableCheckpoint(StepCallback):
    """Saves a run so that it can go on after a kill at any moment.

    Everything that training changes is saved: weights, non-trainable
    variables (codebook statistics, seed generators), the optimizer's state,
    the step, and the logs of finished epochs. (The logs of an epoch that was
    cut in two are those of its second part: on TensorFlow the metrics of a
    new process do not exist yet when their state would have to be restored.)
    A resumed run equals one that never stopped, provided
    that batch i of the run depends on i alone (see
    `keras_bidalle.data.as_dataset`) and that randomness comes from
    `keras.random.SeedGenerator`s held by layers.

    Checkpoints are written at each epoch's end and, within an epoch, every
    `every_seconds` or `every_steps`.

    Args:
        folder: str or `pathlib.Path`, for this run's checkpoints only.
        every_seconds: float or `None`, time between saves in an epoch.
        every_steps: int or `None`, steps between saves in an epoch.
        keep: int, how many checkpoints stay. With 2 or more, one that the
            disk damaged can be passed over for the one before it.

    Example:

    ```python
    checkpoint = ResumableCheckpoint("runs/first/checkpoints")
    history = resumable_fit(
        model, stream, checkpoint, epochs=50, steps_per_epoch=200
    )
    ```
    """

    def __init__(self, folder, every_seconds=60.0, every_steps=None, keep=2):
        super().__init__()
        if not isinstance(keep, int) or keep < 1:
            raise ValueError(
                f"`keep` must be a positive integer. Received: keep={keep}"
            )
        for name, value in (
            ("every_seconds", every_seconds),
            ("every_steps", every_steps),
        ):
            if value is not None and value <= 0:
                raise ValueError(
                    f"`{name}` must be positive or None. "
                    f"Received: {name}={value}"
                )
        self.folder = pathlib.Path(folder)
        self.every_seconds = every_seconds
        self.every_steps = every_steps
        self.keep = keep
        self.history = []
        self._saved_at = time.monotonic()
        self._saved_step = 0

    def restore(self, model):
        """Puts the newest undamaged checkpoint into a compiled model.

        Args:
            model: a built and compiled `keras.Model`. Its optimizer is built
                if it was not yet.

        Returns:
            int, how many steps the run has done; 0 where nothing is saved.

        Raises:
            ValueError: if the model is not built or not compiled, or if the
                checkpoint was written by a model of another shape.
        """
        if not model.built or getattr(model, "optimizer", None) is None:
            raise ValueError(
                "`model` must be built and compiled before a checkpoint can "
                f"be restored. Received: built={model.built}, "
                f"optimizer={getattr(model, 'optimizer', None)}"
            )
        if not model.optimizer.built:
            model.optimizer.build(model.trainable_variables)
        self._remove_unfinished()
        for path in reversed(self._paths()):
            try:
                state, arrays = _read(path)
            except Exception as error:
                # A damaged file can raise anything from zipfile, NumPy, json.
                print(f"Checkpoint {path} is damaged ({error}); passed over.")
                continue
            _assign(model.variables, arrays["model"], "model", path)
            _assign(
                model.optimizer.variables,
                arrays["optimizer"],
                "optimizer",
                path,
            )
            self.history = state["history"]
            self._saved_step = state["step"]
            return state["step"]
        self.history = []
        return 0

    def clear(self):
        """Forgets the checkpoints in the folder: the next run starts anew."""
        for path in self._paths():
            path.unlink()
        self._remove_unfinished()
        self.history = []

    def on_train_begin(self, logs=None):
        self._saved_at = time.monotonic()

    def on_epoch_begin(self, epoch, logs=None):
        super().on_epoch_begin(epoch, logs)
        self.history = [row for row in self.history if row["epoch"] < epoch]

    def on_train_batch_end(self, batch, logs=None):
        if batch + 1 >= self.steps_per_epoch:
            return  # on_epoch_end follows, and knows the epoch's logs
        step = self.steps_done(batch)
        due = (
            self.every_steps is not None
            and step - self._saved_step >= self.every_steps
        ) or (
            self.every_seconds is not None
            and time.monotonic() - self._saved_at >= self.every_seconds
        )
        if due:
            self.sync_weights()
            self.save(step)

    def on_epoch_end(self, epoch, logs=None):
        step = self.steps_done(self.steps_per_epoch - 1)
        row = {"epoch": epoch, "step": step}
        row.update((name, float(value)) for name, value in (logs or {}).items())
        self.history.append(row)
        self.save(step)

    def save(self, step):
        """Writes a checkpoint and removes those beyond `keep`.

        Args:
            step: int, how many steps the run has done.
        """
        state = {"format": FORMAT, "step": step, "history": self.history}
        arrays = {"state": np.frombuffer(json.dumps(state).encode(), "uint8")}
        groups = {
            "model": self.model.variables,
            "optimizer": self.model.optimizer.variables,
        }
        for group, variables in groups.items():
            for i, variable in enumerate(variables):
                arrays[f"{group}.{i:05d}"] = _as_array(variable)
        with atomic_path(self.folder / f"step-{step:09d}.npz") as temporary:
            with open(temporary, "wb") as file:
                np.savez(file, **arrays)
                file.flush()
                os.fsync(file.fileno())
        for path in self._paths()[: -self.keep]:
            path.unlink()
        self._saved_at = time.monotonic()
        self._saved_step = step

    def _paths(self):
        return sorted(self.folder.glob("step-*.npz"))

    def _remove_unfinished(self):
        for path in self.folder.glob(".step-*.npz*"):
            path.unlink()


def _as_array(variable):
    array = np.asarray(ops.convert_to_numpy(variable))
    # .npz has no bfloat16; float32 holds all of it.
    return array.astype("float32") if array.dtype.name == "bfloat16" else array


def _read(path):
    """Reads a checkpoint, raising on any damage."""
    with zipfile.ZipFile(path) as archive:
        broken = archive.testzip()
        if broken is not None:
            raise ValueError(f"wrong checksum in {broken}")
    arrays = {"model": [], "optimizer": []}
    with np.load(path, allow_pickle=False) as saved:
        state = json.loads(saved["state"].tobytes())
        if state["format"] != FORMAT:
            raise ValueError(f"format {state['format']}, not {FORMAT}")
        for name in sorted(saved.files):
            if name != "state":
                arrays[name.split(".")[0]].append(saved[name])
    return state, arrays


def _assign(variables, arrays, what, path):
    wanted = [tuple(v.shape) for v in variables]
    found = [a.shape for a in arrays]
    if wanted != found:
        for i, (have, want) in enumerate(zip(found, wanted, strict=False)):
            if have != want:
                detail = (
                    f"variable {variables[i].path} has shape {want}, "
                    f"the checkpoint's has {have}"
                )
                break
        else:
            detail = (
                f"it has {len(wanted)} variables, the checkpoint {len(found)}"
            )
        raise ValueError(
            f"Checkpoint {path} does not fit the {what}: {detail}. It comes "
            "from another configuration: start in another folder."
        )
    for variable, array in zip(variables, arrays, strict=True):
        variable.assign(array)
