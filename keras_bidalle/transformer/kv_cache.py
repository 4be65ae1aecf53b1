"""Keys and values of the positions so far, and attention over them.

A cache is a tuple of blocks, each a pair of tensors (B heads, n, head_dim):
keys and values of n positions. The last block is being filled. So a loop that
decodes reads hardly more than what is filled, its shapes are static, and
blocks that are full are never copied. Heads are merged with rows, and a
position lies together, because then XLA writes it in place, as a few whole
lines of memory, and reads all as it lies.
"""

import numpy as np
from keras import ops

from keras_bidalle.backend.current import is_eager
from keras_bidalle.backend.keras_internals import pad
from keras_bidalle.backend.xla import has_xla

# Blocks of a cache, each with a loop of its own: at most so many, for each
# has to be compiled, and of so many positions or more.
_MOST_BLOCKS = 4
_LEAST_POSITIONS = 64


def known_index(index):
    """The index of a position, as an int where the backend can tell."""
    return int(index) if is_eager() else index


def block_ends(prompt, length):
    """Where the blocks of a cache end: ascending, the last at `length`.

    The first holds the whole prompt.
    """
    if not has_xla():
        # Blocks would be read in part as well, or copied.
        return (length,)
    new = length - prompt
    count = min(max(new // _LEAST_POSITIONS, 1), _MOST_BLOCKS)
    return tuple(prompt + new * (i + 1) // count for i in range(count))


def make_cache(keys, values, length):
    """The cache of a prompt, one block that ends at `length`.

    Keys and values are (B, heads, n, head_dim), n <= `length`.
    """
    n, channels = keys.shape[2:]

    def block(x):
        x = ops.reshape(x, (-1, n, channels))
        return pad(x, [[0, 0], [0, length - n], [0, 0]])

    return ((block(keys), block(values)),)


def make_window(keys, values, first, window):
    """The cache of a prompt where of all but its start only the last counts.

    All others see the first T = `first` positions; of those after, w =
    `window` are kept, position T + p at T + p mod w. It is never extended.
    """
    n = keys.shape[2]
    last = np.arange(max(first, n - window), n)
    slots = np.full(window, n)
    slots[(last - first) % window] = last
    source = np.concatenate([np.arange(first), slots])

    def arranged(x):
        # Slots without a position yet hold zeros.
        x = pad(x, [[0, 0], [0, 0], [0, 1], [0, 0]])
        return ops.take(x, source, axis=2)

    return make_cache(arranged(keys), arranged(values), first + window)


def window_slot(index, first, window):
    """Where a position of `make_window` lies; int, or scalar tensor."""
    return first + (index - first) % window


def cache_length(cache):
    """int, the positions that a cache has room for."""
    return sum(values.shape[1] for _, values in cache)


def extend_cache(cache, length):
    """Returns `cache` with room for `length` positions, in one more block."""
    keys, _ = cache[0]
    new = length - cache_length(cache)
    shape = (ops.shape(keys)[0], new, keys.shape[2])
    block = tuple(ops.zeros(shape, keys.dtype) for _ in range(2))
    return (*cache, block)


def write_cache(cache, key, value, index):
    """Returns `cache` with positions (B, heads, n, head_dim) written.

    They are put at `index` and after, which lie in the last block.
    """
    *full, (keys, values) = cache
    n, channels = key.shape[2:]
    if is_eager():
        # `ops.slice_update` copies the whole cache there; in a loop that
        # records no gradient, writing in place is the same and free.
        keys[:, index : index + n] = key.reshape(-1, n, channels)
        values[:, index : index + n] = value.reshape(-1, n, channels)
        return cache
    key = ops.cast(ops.reshape(key, (-1, n, channels)), keys.dtype)
    value = ops.cast(ops.reshape(value, (-1, n, channels)), values.dtype)
    index = index - cache_length(full)
    return *full, (_write(keys, key, index), _write(values, value, index))


def _write(block, new, index):
    if has_xla():
        return ops.slice_update(block, [0, index, 0], new)
    import tensorflow as tf

    whole = 0b101  # of rows and channels all
    # In place where nobody else holds the cache, as in the loop.
    return tf.raw_ops.TensorStridedSliceUpdate(
        input=block,
        begin=[0, index, 0],
        end=[0, index + new.shape[1], 0],
        strides=[1, 1, 1],
        value=new,
        begin_mask=whole,
        end_mask=whole,
    )


def attend(query, cache, index, mask=None):
    """Attention of scaled queries (B, heads, n, head_dim) over the cache.

    The positions from `index` on are theirs, in the cache already. The mask
    is additive, (1 or B, n, S), S at least the cache's length; it may be
    `None` where `index` is an int and n is 1, and then all up to it is seen.
    """
    heads, n, channels = query.shape[1:]
    if isinstance(index, int):
        # Of one block only what is filled, which is a view where it is
        # known, and no copy where a block is as small as a stack of codes.
        ((keys, values),) = cache
        cache = ((keys[:, : index + n], values[:, : index + n]),)
    if is_eager():
        return _attend_eagerly(query, *cache[0], mask)
    length = cache_length(cache)
    # XLA's products of one query are faster without an axis of one.
    several = () if n == 1 else (n,)
    rows = "r" if n == 1 else "rq"
    query = ops.reshape(query, (-1, *several, channels))
    scores = [
        ops.einsum(f"{rows}e,rke->{rows}k", query, keys) for keys, _ in cache
    ]
    scores = scores[0] if len(cache) == 1 else ops.concatenate(scores, axis=-1)
    if mask is not None:
        mask = mask[..., :length]
        if several:
            mask = mask[:, None]
        scores = ops.reshape(scores, (-1, heads, *several, length)) + mask
    shares = ops.softmax(scores, axis=-1)
    shares = ops.reshape(shares, (-1, *several, length))
    total, at = 0.0, 0
    for _, values in cache:
        part = shares[..., at : at + values.shape[1]]
        total = total + ops.einsum(f"{rows}k,rke->{rows}e", part, values)
        at += values.shape[1]
    return ops.reshape(total, (-1, heads, n, channels))


def _attend_eagerly(query, keys, values, mask):
    # In torch's own words: those of Keras take longer than the work does.
    import torch

    batch, heads, n, channels = query.shape
    length = keys.shape[1]
    query = query.reshape(-1, n, channels)
    scores = torch.bmm(query, keys.transpose(1, 2))
    if mask is not None:
        mask = mask[:, None, :, :length]
        scores = scores.view(batch, heads, n, length) + mask
    shares = torch.softmax(scores, dim=-1).view(-1, n, length)
    return torch.bmm(shares, values).view(batch, heads, n, channels)


def extend_caches(caches: tuple, length: int, windows: tuple) -> tuple:
    """Gives caches that are full, and no windows, room up to `length`.

    Both tuples are as `Transformer.prefill` and `Places` have them.
    """
    recent, *filled = caches
    extended = [
        extend_cache(cache, length)
        if window is None and cache_length(cache) < length
        else cache
        for cache, window in zip(filled, windows, strict=True)
    ]
    return (recent, *extended)
