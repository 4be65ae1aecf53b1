"""From logits to tokens: the one sampler that all generation uses.

Every setting is a tensor with one value a row, so that one compiled program
serves all of them and a row's result never depends on its neighbors. The
random numbers come from outside, one uniform number a token, drawn from a
generator seeded for that row alone: the same seed gives the same token on
every backend, in any batch.
"""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from keras import ops

from keras_bidalle.sampling.filters import least_kept


def row_uniforms(seeds: Any, shape: Any) -> Any:
    """Draws each row's uniform numbers from that row's own seed.

    Args:
        seeds: sequence of B seeds, each an int of at least 0 or a tuple of
            such ints.
        shape: tuple, the numbers that one row needs.

    Returns:
        float32 NumPy array (B, *shape) in [0, 1).
    """
    numbers = np.empty((len(seeds), *shape), "float32")
    for row, seed in zip(numbers, seeds, strict=True):
        bits = np.random.Philox(_sequence(seed))
        np.random.Generator(bits).random(dtype="float32", out=row)
    return numbers


def _sequence(seed):
    """The entropy of a seed: whole, or with a sample's number."""
    first, *rest = seed if isinstance(seed, tuple) else (seed,)
    if first < 2**32:
        return np.random.SeedSequence(seed)
    # As words of 32 bits they would be those of a small seed's sample.
    return np.random.SeedSequence(first, spawn_key=(*rest, 0))


def guide(logits: Any, scale: Any) -> Any:
    """Classifier-free guidance of logits.

    Args:
        logits: float tensor (2 B, V): B rows with their condition, then the
            same B rows with the null condition.
        scale: float tensor (B,); 1 follows the condition as trained, more
            follows it harder, 0 ignores it.

    Returns:
        float tensor (B, V).

    Reference:
        Ho and Salimans, arXiv 2207.12598, Eq. 6 on logits.
    """
    conditional, unconditional = ops.split(logits, 2, axis=0)
    return unconditional + scale[:, None] * (conditional - unconditional)


def draw_tokens(logits, uniforms, settings):
    """Draws one token a row, under guidance (see `guide`) where it is set.

    As `sample_tokens`, with a dict of settings, tensors (B,).
    """
    filters = dict(settings)
    scale = filters.pop("guidance_scale", None)
    if scale is not None:
        logits = guide(logits, scale)
    return sample_tokens(logits, uniforms, **filters)


def stack_drawer(uniforms: Any, settings: dict) -> Callable:
    """Draws the codes of one position, one after the other.

    Uniforms are (B, c), settings (B,), or (B, c) with a value for each code.
    What is returned is a function of logits, as `draw_tokens` takes them, and
    of the index of a code in its stack, to int32 codes (B,).
    """

    def draw(logits, place):
        chosen = {
            name: value[:, place] if len(value.shape) == 2 else value
            for name, value in settings.items()
        }
        return draw_tokens(logits, uniforms[:, place], chosen)

    return draw


def sample_tokens(
    logits: Any,
    uniforms: Any,
    temperature: Any,
    top_k: Any = None,
    top_p: Any = None,
    min_p: Any = None,
) -> Any:
    """Draws one token a row by inverting the cumulative distribution.

    Temperature comes first, then the filters, in the order of the arguments.

    Args:
        logits: float tensor (B, V); illegal tokens are -inf or very
            negative.
        uniforms: float tensor (B,) in [0, 1).
        temperature, top_k, top_p, min_p: tensors (B,), as the table of
            settings explains them; neutral values keep every token, and
            `None` leaves a filter out of the program. Of tokens that tie
            with the last one of `top_k` all are kept.

    Returns:
        int32 tensor (B,).

    Reference:
        `min_p`: Nguyen et al., arXiv 2407.01082, Sec. 3.
    """
    logits = ops.cast(logits, "float32")
    greedy = ops.cast(ops.argmax(logits, axis=-1), "int32")
    # Temperature 0 is a division by nothing: those rows take `greedy`.
    safe = ops.where(temperature > 0, temperature, ops.ones_like(temperature))
    probabilities = ops.softmax(logits / safe[:, None], axis=-1)

    least = []
    if top_k is not None or top_p is not None:
        least.append(least_kept(probabilities, top_k, top_p))
    if min_p is not None:
        # Rounding must not drop what is at the bound.
        highest = (1 - 1e-6) * ops.max(probabilities, axis=-1, keepdims=True)
        least.append(min_p[:, None] * highest)
    if least:
        kept = probabilities >= functools.reduce(ops.maximum, least)
        probabilities = ops.where(kept, probabilities, 0.0)

    cumulative = ops.cumsum(probabilities, axis=-1)
    total = cumulative[:, -1:]
    # Just below the total, so that rounding never picks beyond the last
    # token that has any probability.
    goal = ops.minimum(uniforms[:, None], 1.0 - 1e-6) * total
    drawn = ops.sum(ops.cast(cumulative <= goal, "int32"), axis=-1)
    return ops.where(temperature > 0, drawn, greedy)
