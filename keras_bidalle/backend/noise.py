"""Noise that differs from replica to replica.

All replicas of a strategy hold the same random state, so a stock
`SeedGenerator` would draw the same noise for each of them. Draws that must be
the same everywhere, such as those of new codes, stay with the stock one.
"""

from typing import Any

import keras
from keras import ops

from keras_bidalle.backend import replicas
from keras_bidalle.validation import refused

# Between the seeds of two replicas: a prime, far larger than the small
# seeds that people choose.
_STRIDE = 982_451_653


class NoiseSeedGenerator(keras.random.SeedGenerator):
    """A `keras.random.SeedGenerator` of which each replica has its own stream.

    On one replica, and on JAX with `keras.distribution`, it is the stock one.
    """

    def next(self, ordered: bool = True) -> Any:
        state = super().next(ordered)
        if replicas.num_replicas() == 1:
            return state
        shift = ops.cast(replicas.replica_id(), state.dtype) * _STRIDE
        return state + ops.stack([shift, ops.zeros_like(shift)])


@keras.saving.register_keras_serializable(package="keras_bidalle")
class Dropout(keras.layers.Layer):
    """`keras.layers.Dropout` that drops other units on each replica."""

    def __init__(self, rate: float, seed: int | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        if not 0 <= rate <= 1:
            raise refused("lie in [0, 1]", rate=rate)
        self.rate = rate
        self.seed = seed
        if rate > 0:
            self.seed_generator = NoiseSeedGenerator(seed)
        self.supports_masking = True
        self.built = True

    def call(self, inputs: Any, training: bool = False) -> Any:
        if not (training and self.rate > 0):
            return inputs
        return keras.random.dropout(inputs, self.rate, seed=self.seed_generator)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        return {**config, "rate": self.rate, "seed": self.seed}
