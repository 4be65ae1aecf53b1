"""Endless batches for `fit`, the same again after a restart.

Batch number i depends on nothing but i: what draws it seeds itself with i.
So a resumed run that starts at batch i sees what the killed one would have.
"""

from collections.abc import Callable
from typing import Any

import keras

from keras_bidalle.backend import replicas
from keras_bidalle.backend.current import is_tensorflow


class BatchStream(keras.utils.PyDataset):
    """An endless `PyDataset` over a function from batch number to batch.

    It has no length: pass `steps_per_epoch` to `fit`, and `shuffle=False`,
    as its order is its own. Every epoch goes on where the last one ended, so
    no two are alike.

    Args:
        make_batch: function of a non-negative int to what `fit` takes: an
            array, a dict of arrays or a tuple `(x, y)`.
        start: int, number of the first batch. A run resumed at epoch e
            starts at `e * steps_per_epoch`.
        num_batches: optional int. When given, the stream is that long and
            the same each epoch, as validation data should be.

    Example:

    ```python
    stream = BatchStream(lambda i: train.crops(128, seed=(0, i)))
    model.fit(stream, steps_per_epoch=100, epochs=10, shuffle=False)
    ```
    """

    def __init__(
        self,
        make_batch: Callable[[int], Any],
        start: int = 0,
        num_batches: int | None = None,
    ) -> None:
        # One worker: Keras then iterates from batch 0 anew each time, which
        # its queue of several does not.
        super().__init__(workers=1)
        self.make_batch = make_batch
        self.start = start
        self._num_batches = num_batches

    @property
    def num_batches(self) -> int | None:
        return self._num_batches

    def __getitem__(self, index):
        return self.make_batch(self.start + index)


def as_dataset(
    make_batch: Callable[[int], Any],
    start: int = 0,
    num_batches: int | None = None,
) -> Any:
    """A stream in the backend's own form.

    Args:
        make_batch: as for `BatchStream`, the rows that this process reads
            (see `own_rows`); on TensorFlow the shapes and dtypes of its
            arrays must not change from batch to batch.
        start: int, number of the first batch.
        num_batches: optional int, for a finite one.

    Returns:
        On the TensorFlow backend a `tf.data.Dataset` that draws batches
        ahead of the training step, elsewhere a `BatchStream`: the same
        batches in the same order.
    """
    if not is_tensorflow():
        return BatchStream(make_batch, start, num_batches)

    import tensorflow as tf

    example = make_batch(start)
    specs = [
        tf.TensorSpec(part.shape, part.dtype)
        for part in keras.tree.flatten(example)
    ]

    def draw(number):
        parts = tf.numpy_function(
            lambda n: keras.tree.flatten(make_batch(int(n))),
            [number],
            [spec.dtype for spec in specs],
        )
        for part, spec in zip(parts, specs, strict=True):
            part.set_shape(spec.shape)
        return keras.tree.pack_sequence_as(example, parts)

    dataset = tf.data.Dataset.counter(start)
    if num_batches is not None:
        dataset = dataset.take(num_batches)
    dataset = dataset.map(draw).prefetch(tf.data.AUTOTUNE)
    strategy = tf.distribute.get_strategy()
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return dataset
    # Left to itself, `fit` would have every worker make all workers' rows
    # and cut them down.
    devices = len(strategy.extended.worker_devices)
    if devices > 1:
        dataset = dataset.rebatch(specs[0].shape[0] // devices)
    return strategy.distribute_datasets_from_function(lambda context: dataset)


def own_rows(
    make_batch: Callable[[int], Any], shard: tuple[int, int] | None = None
) -> Callable[[int], Any]:
    """Makes a function of global batches give this process's rows alone.

    So the batches of a run, and its weights, do not depend on how many
    processes share them. Each process makes the whole batch and keeps its
    part: for batches that are cheap to make. `ImageBatches`, which opens
    files, takes its own share itself.

    Args:
        make_batch: function from batch number to arrays, or a structure of
            them, all with the global batch's rows.
        shard: pair of ints (k, n), the k-th of n processes; by default what
            `keras_bidalle.backend.replicas` knows.

    Returns:
        Function from batch number to the k-th of n parts of the rows.

    Raises:
        ValueError: when called, if the rows cannot be shared evenly.

    Example:

    ```python
    with keras_bidalle.training.distribute("multiworker").scope():
        stream = as_dataset(own_rows(lambda i: train.crops(128, seed=(0, i))))
    ```
    """
    k, n = replicas.data_shard() if shard is None else shard

    def rows(array):
        count, rest = divmod(len(array), n)
        if rest:
            raise ValueError(
                f"A batch must have as many rows for each of {n} processes. "
                f"Received: {len(array)} rows"
            )
        return array[k * count : (k + 1) * count]

    if n == 1:
        return make_batch
    return lambda number: keras.tree.map_structure(rows, make_batch(number))


def rows_per_process(batch_size: int) -> int:
    """How many rows of a batch each process reads.

    Raises:
        ValueError: if the replicas cannot share a batch evenly.
    """
    count = replicas.data_shard()[1]
    sharing = max(count, replicas.planned())
    if batch_size % sharing:
        raise ValueError(
            f"{sharing} replicas cannot share a batch of {batch_size} rows "
            "evenly."
        )
    return batch_size // count
