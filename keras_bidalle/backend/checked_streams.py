"""Streams of batches that are checked on their way to a step."""

import collections.abc
import contextlib
import re
import sys
from collections.abc import Callable, Iterator
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


# Before what a check of a `tf.data.Dataset` refuses, in TensorFlow's errors.
_MARK = "keras_bidalle refuses "


def is_tf_dataset(data: Any) -> bool:
    """Whether data are a `tf.data.Dataset`."""
    # Whoever has one has imported TensorFlow.
    tf = sys.modules.get("tensorflow")
    return tf is not None and isinstance(data, tf.data.Dataset)


def checked_tf_dataset(
    dataset: Any, check: Callable[[Any, Any], list[tuple[str, Any, Any]]]
) -> Any:
    """A `tf.data.Dataset` whose batches are checked on their way.

    Args:
        dataset: `tf.data.Dataset`.
        check: function of the number of a batch and the batch, both tensors,
            to what is looked at: its name, str, whether it may pass, a bool
            tensor, and a tensor of the numbers that `told_refusals` gets.

    Returns:
        `tf.data.Dataset` of the same batches.
    """
    import tensorflow as tf

    def checked(number: Any, batch: Any) -> Any:
        known = []
        for name, passes, numbers in check(number, batch):
            told = [f"{_MARK}{name}", tf.reshape(numbers, (-1,))]
            known.append(tf.Assert(passes, told, summarize=-1))
        with tf.control_dependencies(known):
            return tf.nest.map_structure(tf.identity, batch)

    return dataset.enumerate().map(checked)


@contextlib.contextmanager
def told_refusals(tell: Callable[[str, list[float]], None]) -> Iterator[None]:
    """Within, what a `checked_tf_dataset` refuses is told by `tell`.

    It gets the name and the numbers of the check, and raises.
    """
    try:
        yield
    except Exception as error:
        # TensorFlow's own errors, as each backend passes them on.
        found = re.search(rf"{_MARK}(\w+)\W+\[([^]]*)\]", str(error))
        if found is None:
            raise
        name, numbers = found[1], [float(n) for n in found[2].split()]
    else:
        return
    tell(name, numbers)


def first_of(batch: Any) -> Any:
    """What a batch has first, which may come with more."""
    while isinstance(batch, tuple | list) and len(batch):
        batch = batch[0]
    return batch
