"""Keys and values of the positions so far, one pair a layer.

A cache is a pair of tensors (B, heads, length, head_dim), allocated at full
length so that the compiled decode loop has static shapes.
"""

import contextlib
import contextvars

import keras
from keras import ops

_WITHOUT_XLA = contextvars.ContextVar("without_xla", default=False)


@contextlib.contextmanager
def writes_without_xla():
    """What TensorFlow traces inside writes caches with its own operations.

    `ops.slice_update` is an operation of XLA there, even in a function that
    is not compiled by it, and a stock TensorFlow Serving refuses those.
    """
    token = _WITHOUT_XLA.set(True)
    try:
        yield
    finally:
        _WITHOUT_XLA.reset(token)


def pad_cache(keys, values, length):
    """Returns keys and values of a prompt, padded to `length` positions.

    Args:
        keys, values: tensors (B, heads, n, head_dim), n <= length.
        length: int.
    """
    padding = [[0, 0], [0, 0], [0, length - keys.shape[2]], [0, 0]]
    return ops.pad(keys, padding), ops.pad(values, padding)


def write_cache(cache, new, index):
    """Returns `cache` with `new` at position `index`.

    Args:
        cache: tensor (B, heads, length, head_dim).
        new: tensor (B, heads, 1, head_dim).
        index: int scalar tensor.
    """
    if keras.config.backend() == "torch":
        # `ops.slice_update` copies the whole cache there; in a loop that
        # records no gradient, writing in place is the same and free.
        cache[:, :, int(index) : int(index) + 1] = new
        return cache
    if _WITHOUT_XLA.get():
        import tensorflow as tf

        # In place where nobody else holds the cache, as in the loop.
        return tf.raw_ops.TensorStridedSliceUpdate(
            input=cache,
            begin=[0, 0, index, 0],
            end=[0, 0, index + 1, 0],
            strides=[1, 1, 1, 1],
            value=new,
            begin_mask=0b1011,
            end_mask=0b1011,
        )
    return ops.slice_update(cache, (0, 0, index, 0), new)
