"""Gumbel noise, which turns the largest of log odds into a draw."""

import keras
from keras import ops


def gumbel_noise(shape, seed):
    """Draws float32 standard Gumbel noise.

    In training `seed` is a `backend.noise.NoiseSeedGenerator`, so that every
    replica has noise of its own.
    """
    uniform = keras.random.uniform(shape, dtype="float32", seed=seed)
    uniform = ops.clip(uniform, 1e-20, 1.0 - 1e-7)
    return -ops.log(-ops.log(uniform))
