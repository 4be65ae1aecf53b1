"""Gradient checkpointing: computing twice what would take memory to keep.

`keras.remat` (and `keras.RematScope`) run a function again for its gradient.
A seed generator that moves on in the function would draw other noise the
second time, so that gradients were those of another network; on JAX its new
state could not leave the function at all. So noise is seeded outside.
"""

from collections.abc import Callable
from typing import Any

import keras

from keras_bidalle.backend.keras_internals import DrawnSeed


def recomputed(function: Callable[..., Any], x: Any) -> Any:
    """Calls a function of which only input and output are kept for gradients.

    Args:
        function: callable from a tensor to a tensor. It may use weights and
            constants from around it, and draws noise by `drawn_seed` only.
        x: float tensor.

    Returns:
        What `function(x)` gives.

    Reference:
        [Training Deep Nets with Sublinear Memory
        Cost](https://arxiv.org/abs/1604.06174).
    """
    return keras.remat(function)(x)


def drawn_seed(
    generator: keras.random.SeedGenerator,
) -> keras.random.SeedGenerator:
    """Draws the next seed of a generator, for use inside `recomputed`.

    Args:
        generator: `keras.random.SeedGenerator`.

    Returns:
        What any function of `keras.random` takes as its `seed`.
    """
    return DrawnSeed(generator.next())
