"""Noise that differs from replica to replica.

All replicas of a strategy hold the same random state (it is a weight like
any other), so a stock `SeedGenerator` would draw the same noise for each of
them, and a batch spread over n replicas would see n times less of it. Draws
that must be the same everywhere, such as those of new codes, stay with the
stock one.
"""

import keras
from keras import ops

from keras_bidalle.backend import replicas

# Between the seeds of two replicas: a prime, far larger than the small
# seeds that people choose.
_STRIDE = 982_451_653


class NoiseSeedGenerator(keras.random.SeedGenerator):
    """A `keras.random.SeedGenerator` of which each replica has its own stream.

    On one replica, and on JAX with `keras.distribution`, it is the stock one.

    Args:
        seed: int or `None`.
        name: str or `None`.
    """

    def next(self, ordered=True):
        state = super().next(ordered)
        if replicas.num_replicas() == 1:
            return state
        shift = ops.cast(replicas.replica_id(), state.dtype) * _STRIDE
        return state + ops.stack([shift, ops.zeros_like(shift)])


@keras.saving.register_keras_serializable(package="keras_bidalle")
class Dropout(keras.layers.Dropout):
    """`keras.layers.Dropout` that drops other units on each replica."""

    def __init__(self, rate, noise_shape=None, seed=None, **kwargs):
        super().__init__(rate, noise_shape=noise_shape, seed=seed, **kwargs)
        if rate > 0:
            # Keras has locked the layer, so that it takes no generator more.
            # Ours has no state that the stock one has not.
            self.seed_generator.__class__ = NoiseSeedGenerator
