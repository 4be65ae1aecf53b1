"""What generators train on: rows of tokens and codes, checked as they come.

An index out of range gives a vector of zeros on one device, another row's on
the next and an error on a third: it is refused before a step sees it. Of
arrays all are checked at once, of streams each batch when it is read.
"""

import functools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from keras_bidalle.backend.checked_streams import (
    checked_batches,
    checked_tf_dataset,
    first_of,
    is_tf_dataset,
    told_refusals,
)
from keras_bidalle.validation import as_array, as_indices

Limits = Mapping[str, int | Sequence[int]]


class RowChecks:
    """Checks the tokens and codes that a generator is given.

    Args:
        generator: `Generator`.
    """

    def __init__(self, generator: Any) -> None:
        self._limits: Limits = {
            "text": generator.text_vocabulary_size,
            "codes": generator.head.codebook_limits,
        }

    def checked(self, rows: Any) -> Any:
        """The data to give to Keras: rows, or a stream that is checked.

        Raises:
            ValueError: where tokens or codes are out of range.
            TypeError: where they are no integers.
        """
        if is_tf_dataset(rows):
            return self._checked_tf_dataset(rows)
        # Such that a stream of several processes can take it along.
        check = functools.partial(_check_batch, self._limits)
        stream = checked_batches(rows, check)
        if stream is None:
            check(rows)
            return rows
        return stream

    @contextmanager
    def told(self) -> Iterator[None]:
        """Within, what a `tf.data.Dataset` has out of range is told, too."""
        with told_refusals(self._tell):
            yield

    def _tell(self, name: str, numbers: list[float]) -> None:
        # The least and the largest of each code of a stack.
        found = np.asarray(numbers, "int64").reshape(2, -1)
        as_indices(found, self._limits[name], name)

    def _checked_tf_dataset(self, dataset: Any) -> Any:
        import tensorflow as tf

        spec = first_of(dataset.element_spec)
        if not isinstance(spec, Mapping):
            return dataset
        limits = {
            name: np.atleast_1d(limit)
            for name, limit in self._limits.items()
            if isinstance(spec.get(name), tf.TensorSpec)
        }
        for name in limits:
            dtype = spec[name].dtype.as_numpy_dtype
            as_indices(np.zeros((0, 1), dtype), 1, name)

        def check(number: Any, batch: Any) -> list[tuple[str, Any, Any]]:
            found = []
            for name, limit in limits.items():
                values = tf.cast(first_of(batch)[name], tf.int64)
                values = tf.reshape(values, (-1, len(limit)))
                low = tf.reduce_min(values, axis=0)
                high = tf.reduce_max(values, axis=0)
                passes = tf.reduce_all((low >= 0) & (high < limit))
                # A batch without rows has the ends of all integers.
                passes |= tf.size(values) == 0
                found.append((name, passes, tf.stack([low, high])))
            return found

        return checked_tf_dataset(dataset, check)


def _check_batch(limits: Limits, batch: Any) -> None:
    batch = first_of(batch)
    if not isinstance(batch, Mapping):
        return
    for name, limit in limits.items():
        if name in batch:
            as_indices(as_array(name, batch[name]), limit, name)
