"""Streams of batches that are checked on their way to a step."""

import collections.abc
from collections.abc import Callable
from typing import Any

import keras


def checked_batches(data: Any, check: Callable[[Any], None]) -> Any:
    """A stream whose batches are checked as they are read.

    Args:
        data: what `keras.Model.fit` takes.
        check: callable of a batch, which raises; of a `PyDataset` with
            `use_multiprocessing` one that can be pickled.

    Returns:
        `data` with its checks, or `None` if it is no `keras.utils.PyDataset`
        and no generator.
    """
    if isinstance(data, keras.utils.PyDataset):
        return _CheckedBatches(data, check)
    if isinstance(data, collections.abc.Generator):
        return _checked_generator(data, check)
    return None


def _checked_generator(batches, check):
    for batch in batches:
        check(batch)
        yield batch


class _CheckedBatches(keras.utils.PyDataset):
    """A stream whose batches are checked when they are read."""

    def __init__(self, batches: Any, check: Callable[[Any], None]):
        super().__init__(
            workers=batches.workers,
            use_multiprocessing=batches.use_multiprocessing,
            max_queue_size=batches.max_queue_size,
        )
        self.batches = batches
        self.check = check

    @property
    def num_batches(self) -> int | None:
        return self.batches.num_batches

    def __getitem__(self, index: int) -> Any:
        batch = self.batches[index]
        self.check(batch)
        return batch

    def on_epoch_begin(self) -> None:
        self.batches.on_epoch_begin()

    def on_epoch_end(self) -> None:
        self.batches.on_epoch_end()


def first_of(batch: Any) -> Any:
    """What a batch has first, which may come with more."""
    while isinstance(batch, tuple | list) and len(batch):
        batch = batch[0]
    return batch
