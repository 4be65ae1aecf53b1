"""Gradient checkpointing: computing twice what would take memory to keep.

`keras.remat` runs a function again for its gradient. A seed generator that
moves on in it would draw other noise the second time; on JAX its new state
could not leave the function at all. So noise is seeded outside.
"""

from collections.abc import Callable
from typing import Any

import keras

from keras_bidalle.backend.keras_internals import DrawnSeed


def recomputed(function: Callable[..., Any], x: Any) -> Any:
    """`function(x)`, of which only input and output are kept for gradients.

    The function draws noise by `drawn_seed` only.

    Reference:
        [Training Deep Nets with Sublinear Memory
        Cost](https://arxiv.org/abs/1604.06174).
    """
    return keras.remat(function)(x)


def drawn_seed(
    generator: keras.random.SeedGenerator,
) -> keras.random.SeedGenerator:
    """Draws the next seed of a generator, for use inside `recomputed`."""
    return DrawnSeed(generator.next())
