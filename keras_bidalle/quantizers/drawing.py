"""Latents drawn out of the global batch, to become codes."""

import keras
from keras import ops

from keras_bidalle.backend import replicas


def draw_vectors(parts, num, seed):
    """Draws vectors of a batch with given odds, the same on every replica.

    Systematic sampling: evenly spaced points on the cumulated weights, with
    one random start. Each draw has exactly the given odds, repetitions are
    as rare as they can be, and all shapes are static. Replicas draw what one
    process with all of their batches would.

    `parts` are tuples of vectors (N, C) and weights (N,), not negative, all
    float32; `seed` is in the same state on all replicas. The result is
    (num, C).
    """
    vectors = ops.concatenate([rows for rows, _ in parts])
    first, places = 0, []
    for rows, weights in parts:
        count = ops.shape(rows)[0]
        places.append(_gathered(weights, first))
        first += count
    weights, owners, rows = (
        ops.concatenate(column) for column in zip(*places, strict=True)
    )
    # The tiny constant makes equal weights of all zeros.
    cumulated = ops.cumsum(weights + (1e-6 * ops.mean(weights) + 1e-20))
    start = keras.random.uniform((), dtype="float32", seed=seed)
    points = ops.arange(num, dtype="float32") / num + start
    points = (points - ops.floor(points)) * cumulated[-1]
    chosen = ops.searchsorted(cumulated, points, side="right")
    chosen = ops.minimum(ops.cast(chosen, "int32"), ops.shape(weights)[0] - 1)
    if replicas.num_replicas() == 1:
        return ops.take(vectors, chosen, axis=0)
    # Each replica hands in what it has of the chosen ones.
    mine = ops.equal(
        ops.take(owners, chosen), ops.cast(replicas.replica_id(), "float32")
    )
    rows = ops.where(mine, ops.take(rows, chosen), 0.0)
    found = ops.take(vectors, ops.cast(rows, "int32"), axis=0)
    return replicas.all_reduce_sum(ops.where(mine[:, None], found, 0.0))


def _gathered(weights, first):
    """Weights of all replicas, whose they are, and in which row there."""
    if replicas.num_replicas() == 1:
        return weights, weights, weights
    count = ops.shape(weights)[0]
    owner = ops.cast(replicas.replica_id(), "float32")
    rows = ops.cast(ops.arange(count) + first, "float32")
    # Floats are exact up to 2^24, and one table takes one exchange.
    table = ops.stack([weights, owner * ops.ones_like(weights), rows], axis=1)
    table = replicas.all_gather(table)
    return table[:, 0], table[:, 1], table[:, 2]
