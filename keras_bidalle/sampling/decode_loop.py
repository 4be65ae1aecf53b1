"""What a loop over positions is made of, whatever it emits.

Pure functions of a generator's weights and their tensor arguments, with
static shapes throughout; only the number of rows may be unknown, in a graph
that is exported.
"""

from typing import Any, NamedTuple

import keras
from keras import ops

from keras_bidalle.transformer import kv_cache
from keras_bidalle.transformer.layer_calls import decoding_dtype


def _hidden_text(generator, text, guided):
    """Which positions of [caption][image] rows hold pads: (B, S) or None."""
    if not generator.mask_padding:
        return None
    pad = generator.is_padding(text)
    if guided:
        pad = ops.concatenate([pad, ops.zeros_like(pad)])
    seen = ops.zeros((ops.shape(pad)[0], generator.num_positions), "bool")
    return ops.concatenate([pad, seen], axis=1)


class Places(NamedTuple):
    """What layers must know of places: masks, rotations, and windows."""

    text_to_image: bool
    hidden_keys: Any
    rotation: Any
    windows: tuple


def picture_places(generator, text, guided):
    """`Places` of [caption][image] rows, each twice where `guided`."""
    hidden = _hidden_text(generator, text, guided)
    rotation, windows = generator.rotation(True), layer_windows(generator, True)
    return Places(True, hidden, rotation, windows)


def caption_places(generator):
    """`Places` of [image][caption] rows."""
    windows = layer_windows(generator, False)
    return Places(False, None, generator.rotation(False), windows)


def layer_windows(generator, text_to_image):
    """One for each layer, as `TransformerBlock.prefill` takes it."""
    return tuple(
        window and (generator.text_length, window)
        for window in generator.layer_windows(text_to_image)
    )


def prefill(generator, x, places):
    """Runs the prompt (B, n, d).

    Returns its last position's output and the caches, with room up to the
    end of the first block, both as `decode` takes them.
    """
    n = x.shape[1]
    masks = generator.layer_masks(places.text_to_image, places.hidden_keys, n)
    given = places.rotation and tuple(p[:, :, :n] for p in places.rotation)
    length = kv_cache.block_ends(n, generator.length)[0]
    x, recent = generator.token_convolution.prefill(x)
    caches = [recent]
    layers = zip(generator.blocks, masks, places.windows, strict=True)
    for block, mask, window in layers:
        x, cache = block.prefill(x, mask, length, given, window)
        caches.append(cache)
    dtype = decoding_dtype(generator.compute_dtype)
    return keras.tree.map_structure(
        lambda part: ops.cast(part, dtype), (x[:, -1:], tuple(caches))
    )


def decode(generator, x, caches, places, index, run):
    """Runs one position through all layers, against their caches."""
    index = kv_cache.known_index(index)
    masks = generator.layer_mask_rows(
        index, places.text_to_image, places.hidden_keys
    )
    turned = places.rotation and tuple(
        ops.take(part, index, axis=2)[:, :, None] for part in places.rotation
    )
    recent, *caches = caches
    x = ops.cast(x, recent.dtype)
    x, recent = generator.token_convolution.decode(x, recent)
    updated = [recent]
    layers = zip(generator.blocks, caches, masks, places.windows, strict=True)
    for block, cache, mask, window in layers:
        x, cache = block.decode(x, cache, index, mask, turned, window, run)
        updated.append(cache)
    return x, tuple(updated)


def extend(caches, length, windows):
    """Gives caches that are full, and no windows, room for more positions."""
    recent, *caches = caches
    extended = [
        kv_cache.extend_cache(cache, length)
        if window is None and kv_cache.cache_length(cache) < length
        else cache
        for cache, window in zip(caches, windows, strict=True)
    ]
    return (recent, *extended)


def loop(going, step, state, caches):
    """Steps that change a state and the last block of each cache.

    Args:
        going: function of the state to a bool.
        step: function of the state and the caches to both.
        state: tuple of tensors.
        caches: tuple, as `prefill` gives it.

    Returns:
        Tuple of the state and the caches.
    """
    full = [cache[:-1] for cache in caches[1:]]

    def changing(caches):
        recent, *caches = caches
        return recent, tuple(cache[-1] for cache in caches)

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
