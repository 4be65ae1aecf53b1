"""The model of a run that is not done yet, for whoever cuts it."""

import shutil
import time
from collections.abc import Callable
from typing import Any

import keras

from keras_bidalle import training
from keras_bidalle.backend import replicas
from keras_bidalle.backend.random_state import (
    random_state,
    set_random_state,
)

FOLDER = "unfinished"
# Of a run's time, saving takes no more than this share.
_SHARE = 0.05


class KeepUnfinished(keras.callbacks.Callback):
    """Saves the model whenever the run is summed up, as a preset.

    It is left out where the last one was too short ago for what saving takes.

    Args:
        folder: `keras_bidalle.training.RunFolder`.
        make: function to the model as it is now, ready to be saved.
    """

    def __init__(
        self, folder: training.RunFolder, make: Callable[[], Any]
    ) -> None:
        super().__init__()
        self._path = folder / FOLDER
        self._make = make
        self._next = 0.0

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        began = time.monotonic()
        if began < self._next or not replicas.is_first_process():
            return
        # New layers draw seeds. When this is done depends on the clock; what
        # is trained must not.
        state = random_state()
        self._make().save_to_preset(self._path)
        set_random_state(state)
        ended = time.monotonic()
        self._next = ended + (ended - began) * (1 / _SHARE - 1)


def clear_unfinished(folder: training.RunFolder) -> None:
    """Removes it, once the run is done."""
    if replicas.is_first_process():
        shutil.rmtree(folder / FOLDER, ignore_errors=True)
