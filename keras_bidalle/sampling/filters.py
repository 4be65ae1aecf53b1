"""Top-k and top-p: the least probability that a row keeps.

Sorting a row only to learn where to cut it costs more than all else in
drawing a token. Positive floats are ordered as their bits, so the cut can be
found by bisection on the bits: 15 times, the tokens above three bounds are
counted, and two more bits of it are known. That is exact, and runs in
parallel. Where every operation is run by itself, a sort is faster.
"""

import numpy as np
from keras import ops

from keras_bidalle.backend.xla import has_xla

# Probabilities are at most 1, whose bits are below 2^30.
_BITS = 30


def least_kept(probabilities, top_k=None, top_p=None):
    """The least probability that a row's filters keep.

    `top_k` and `top_p` are as of `sampler.sample_tokens`, the probabilities
    (B, V), of which rows sum to 1: float32 (B, 1).
    """
    find = _by_bisection if has_xla() else _by_sorting
    return find(probabilities, top_k, top_p)


def _by_sorting(probabilities, top_k, top_p):
    descending = ops.flip(ops.sort(probabilities, axis=-1), axis=-1)
    keep = ops.ones_like(descending, dtype="bool")
    if top_k is not None:
        size = descending.shape[-1]
        top_k = ops.where(top_k > 0, top_k, size)
        keep = ops.arange(size, dtype="int32")[None, :] < top_k[:, None]
    if top_p is not None:
        # A token stays while those before it have not reached p, of what
        # `top_k` left.
        kept = ops.where(keep, descending, 0.0)
        before = ops.cumsum(kept, axis=-1) - kept
        goal = _share(top_p) * ops.sum(kept, axis=-1, keepdims=True)
        keep = ops.logical_and(keep, before < goal)
    return ops.min(ops.where(keep, descending, np.inf), axis=-1, keepdims=True)


def _by_bisection(probabilities, top_k, top_p):
    bits = ops.view(probabilities, "int32")
    least = ops.zeros_like(bits[:, :1])
    if top_k is not None:
        goal = ops.cast(top_k, "float32")[:, None]
        ones = ops.ones_like(probabilities)
        # Beyond the number of tokens nothing is found, which keeps all.
        found = _greatest_bound(bits, ones, goal, ops.any(top_k > 0))
        least = ops.where(goal > 0, found, 0)
    if top_p is not None:
        kept = ops.where(bits >= least, probabilities, 0.0)
        goal = _share(top_p) * ops.sum(kept, axis=-1, keepdims=True)
        found = _greatest_bound(bits, kept, goal, ops.any(top_p < 1.0))
        least = ops.maximum(least, found)
    return ops.view(least, "float32")


def _share(top_p):
    # Rounding must not drop what is to be kept in full.
    return ops.where(top_p < 1.0, top_p, 2.0)[:, None]


def _greatest_bound(bits, weights, goal, needed):
    """The greatest bound of bits at or above which weights reach a goal.

    int32 (B, 1), 0 where no bound does or none is `needed`.
    """
    thirds = ops.convert_to_tensor(np.arange(1, 4, dtype="int32"))

    def refine(step, bound):
        unit = ops.left_shift(1, _BITS - 2 - 2 * step)
        bounds = bound + thirds[None] * unit  # (B, 3)
        above = bits[:, None, :] >= bounds[:, :, None]
        sums = ops.sum(ops.where(above, weights[:, None, :], 0.0), axis=-1)
        reached = ops.sum(ops.cast(sums >= goal, "int32"), -1, keepdims=True)
        return bound + reached * unit

    none = ops.zeros_like(bits[:, :1])
    steps = ops.where(needed, _BITS // 2, 0)
    return ops.while_loop(
        lambda step, bound: step < steps,
        lambda step, bound: (step + 1, refine(step, bound)),
        (ops.zeros((), "int32"), none),
    )[1]
