"""The best weights of a run, by a figure of what it was not trained on."""

import contextlib
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_bidalle.backend.optimizers import keeps_averages
from keras_bidalle.training.averaged_weights import averaged_weights
from keras_bidalle.validation import (
    check_choice,
    check_positive,
    check_positive_or_none,
    refused,
)

# Of `KeepBest`, beside the weights.
_STATE = ("best", "best_epoch", "waited")


class HeldOutFigures(keras.callbacks.Callback):
    """Adds figures of a model to the logs, as `val_<name>`.

    It comes before the callbacks that read logs: what shows them, keeps the
    best or saves. The model has the averages of its weights meanwhile, where
    its optimizer keeps some.

    Args:
        measure: callable without arguments that gives a dict of floats.
        every_epochs: int, epochs between figures; the last one always has
            them.
    """

    def __init__(
        self, measure: Callable[[], dict[str, float]], every_epochs: int = 1
    ) -> None:
        super().__init__()
        check_positive(every_epochs=every_epochs)
        self.measure = measure
        self.every_epochs = every_epochs

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        last = epoch + 1 == self.params.get("epochs")
        if logs is None or not (last or (epoch + 1) % self.every_epochs == 0):
            return
        with _judged(self.model):
            figures = self.measure()
        logs.update({f"val_{k}": float(v) for k, v in figures.items()})


class KeepBest(keras.callbacks.Callback):
    """Keeps the weights that a figure was best with, and may stop the run.

    What it keeps is part of a `ResumableCheckpoint`. Unlike Keras'
    `EarlyStopping` it keeps the averages of the weights where the optimizer
    has some, and what it keeps is put in by `put_back`, after all else.

    Args:
        monitor: str, a name in the logs, such as `"val_loss"`. Epochs without
            any such figure do not count.
        mode: str, whether the best is the `"min"` or the `"max"`.
        patience: int or `None`, after how many figures that are no better
            the run ends. With a larger one than before a run goes on.

    Raises:
        ValueError: if an argument is out of its range.

    Example:

    ```python
    best = KeepBest("val_loss", patience=5)
    resumable_fit(..., callbacks=[best], validation_data=held_out)
    best.put_back()
    ```
    """

    def __init__(
        self, monitor: str, mode: str = "min", patience: int | None = None
    ) -> None:
        super().__init__()
        check_choice(("min", "max"), mode=mode)
        check_positive_or_none(patience=patience)
        self.monitor = monitor
        self.sign = 1.0 if mode == "max" else -1.0
        self.patience = patience
        self.best: float | None = None
        self.best_epoch: int | None = None
        self.waited = 0
        self._weights: list[np.ndarray] = []

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        value = (logs or {}).get(self.monitor)
        if value is None:
            known = [name for name in logs or {} if name.startswith("val_")]
            if known and self.monitor.startswith("val_"):
                raise refused(
                    f"be one of {', '.join(known)}", monitor=self.monitor
                )
            return
        # What is not a number is never the best.
        if self.best is None or self.sign * (value - self.best) > 0:
            if np.isnan(value):
                return
            self.best, self.best_epoch, self.waited = float(value), epoch, 0
            with _judged(self.model):
                self._weights = [
                    np.array(ops.convert_to_numpy(weight))
                    for weight in self.model.weights
                ]
            return
        self.waited += 1
        if self.is_out_of_patience:
            self.model.stop_training = True

    @property
    def is_out_of_patience(self) -> bool:
        """Whether enough figures were no better than the best one."""
        return self.patience is not None and self.waited >= self.patience

    def put_back(self) -> None:
        """Gives the model the best weights; without any it stays."""
        if self._weights:
            self.model.set_weights(self._weights)

    def get_state(self) -> dict[str, Any]:
        kept = {name: getattr(self, name) for name in _STATE}
        return {**kept, "weights": self._weights}

    def set_state(self, state: dict[str, Any]) -> None:
        for name in _STATE:
            setattr(self, name, state[name])
        # Scalars come back as numbers.
        self._weights = [np.asarray(weight) for weight in state["weights"]]


def _judged(model):
    if keeps_averages(model.optimizer):
        return averaged_weights(model)
    return contextlib.nullcontext()
