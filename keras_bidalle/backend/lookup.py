"""Rows of a table, with the same training on every backend."""

from typing import Any

from keras import ops

from keras_bidalle.backend.current import is_tensorflow


def lookup(table: Any, ids: Any) -> Any:
    """Takes rows of an embedding table.

    Args:
        table: tensor (V, d).
        ids: int tensor (...,), values in [0, V).

    Returns:
        tensor (..., d).
    """
    if is_tensorflow():
        # The gradient of a bare gather is sparse there, and Keras' adaptive
        # optimizers treat rows that occur twice, or not at all, otherwise
        # than in a dense one. A product makes it dense.
        table = table * ops.ones((), table.dtype)
    return ops.take(table, ids, axis=0)
