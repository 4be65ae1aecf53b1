"""Parts of tables that begin where a loop stands."""

from typing import Any

from keras import ops


def span(x: Any, index: Any, count: int, axis: int = 0) -> Any:
    """`count` entries of `x` from `index` on, along an axis.

    The index is an int or a scalar tensor. In place of entries beyond the
    end stands the last one.
    """
    size = x.shape[axis]
    if isinstance(index, int) and index + count <= size:
        # A view, which costs nothing where operations run one by one.
        return x[(slice(None),) * axis + (slice(index, index + count),)]
    if count == 1:
        return ops.expand_dims(ops.take(x, index, axis=axis), axis)
    entries = index + ops.arange(count, dtype="int32")
    return ops.take(x, ops.minimum(entries, size - 1), axis=axis)
