"""Where a program trains: the base of all distributions, and one process."""

import contextlib
from typing import Any

from keras_bidalle.backend import replicas
from keras_bidalle.backend.current import backend_name


class Distribution:
    """One process, one device, and what all distributions have in common.

    Models are made, compiled and trained inside `scope()`. `fit` takes
    batches of all rows that this process reads (see `data.own_rows`), and
    gives the weights that one process with all rows would.
    """

    name = "none"
    # The backends that it is for.
    backends: tuple[str, ...] = ("tensorflow", "jax", "torch")

    def __init__(self) -> None:
        backend = backend_name()
        if backend not in self.backends:
            raise ValueError(
                f'`distribution="{self.name}"` needs the backend '
                f"{' or '.join(self.backends)} (KERAS_BACKEND). "
                f"Received: {backend}"
            )

    @contextlib.contextmanager
    def scope(self) -> Any:
        """A context in which all that is made is made for all replicas."""
        yield self

    @property
    def num_replicas(self) -> int:
        """int, how many replicas share a batch."""
        with self.scope():
            return replicas.planned()

    @property
    def shard(self) -> tuple[int, int]:
        """Tuple (k, n): this is the k-th of n processes."""
        with self.scope():
            return replicas.data_shard()

    @property
    def is_first_process(self) -> bool:
        """bool, whether this process writes files and prints."""
        return self.shard[0] == 0

    def __repr__(self):
        k, n = self.shard
        return (
            f"<{type(self).__name__}: {self.num_replicas} replicas, "
            f"process {k} of {n}>"
        )
