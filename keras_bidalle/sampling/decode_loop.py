"""The loop over positions, whatever it emits.

Static shapes throughout; only the number of rows may be unknown, in a graph
that is exported.
"""

from collections.abc import Callable

from keras import ops

from keras_bidalle.transformer import kv_cache


def extend(caches: tuple, length: int, windows: tuple) -> tuple:
    """Gives caches that are full, and no windows, room for more positions.

    Args:
        caches: tuple, as `Transformer.prefill` gives it.
        length: int, the positions that there is to be room for.
        windows: tuple, as in `Places`.
    """
    recent, *filled = caches
    extended = [
        kv_cache.extend_cache(cache, length)
        if window is None and kv_cache.cache_length(cache) < length
        else cache
        for cache, window in zip(filled, windows, strict=True)
    ]
    return (recent, *extended)


def loop(going: Callable, step: Callable, state: tuple, caches: tuple) -> tuple:
    """Steps that change a state and the last block of each cache.

    Args:
        going: function of the state to a bool.
        step: function of the state and the caches to both.
        state: tuple of tensors.
        caches: tuple, as `Transformer.prefill` gives it.

    Returns:
        Tuple of the state and the caches.
    """
    full = [cache[:-1] for cache in caches[1:]]

    def changing(caches):
        recent, *filled = caches
        return recent, tuple(cache[-1] for cache in filled)

    def whole(recent, last):
        blocks = zip(full, last, strict=True)
        return (recent, *((*before, block) for before, block in blocks))

    def body(*variables):
        *state, recent, last = variables
        state, caches = step(state, whole(recent, last))
        return (*state, *changing(caches))

    *state, recent, last = ops.while_loop(
        lambda *variables: going(*variables[:-2]),
        body,
        (*state, *changing(caches)),
    )
    return tuple(state), whole(recent, last)
