"""The part of a global batch that one of several processes reads."""

from collections.abc import Callable
from typing import Any

import keras

from keras_bidalle.backend import replicas


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
