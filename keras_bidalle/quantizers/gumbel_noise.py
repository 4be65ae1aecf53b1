"""Gumbel noise that differs from replica to replica."""

import keras
from keras import ops

from keras_bidalle import replicas


def gumbel_noise(shape, seed):
    """Draws standard Gumbel noise.

    The largest of log odds with such noise has just those odds.

    Args:
        shape: shape, of ints or tensors.
        seed: int or `keras.random.SeedGenerator`.

    Returns:
        float32 tensor.
    """
    uniform = keras.random.uniform(shape, dtype="float32", seed=seed)
    if replicas.num_replicas() > 1:
        # All replicas draw the same numbers; shifted around the circle (by
        # the golden ratio) they stay uniform and differ.
        shift = ops.cast(replicas.replica_id(), "float32") * 0.618034
        uniform = uniform + shift
        uniform = uniform - ops.floor(uniform)
    uniform = ops.clip(uniform, 1e-20, 1.0 - 1e-7)
    return -ops.log(-ops.log(uniform))
