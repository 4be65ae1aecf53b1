"""Rows of a table, with the same training on every backend."""

from typing import Any

from keras import ops

from keras_bidalle.backend.current import is_tensorflow


def lookup(table: Any, ids: Any) -> Any:
    """Takes rows (..., d) of an embedding table (V, d) by int32 ids (...,)."""
    if is_tensorflow():
        # The gradient of a bare gather is sparse there, and Keras' adaptive
        # optimizers treat rows that occur twice, or not at all, otherwise
        # than in a dense one. A product makes it dense.
        table = table * ops.ones((), table.dtype)
    return ops.take(table, ids, axis=0)
