"""Batch normalization by the statistics of the global batch."""

import keras
from keras import ops

from keras_bidalle.backend import replicas
from keras_bidalle.backend.keras_internals import ReducibleBatchNormalization
from keras_bidalle.backend.state_guard import moved_by_calls


@keras.saving.register_keras_serializable(package="keras_bidalle")
class GlobalBatchNormalization(ReducibleBatchNormalization):
    """`keras.layers.BatchNormalization` over the batches of all replicas.

    So n replicas train as one does on a batch n times as large, and hold the
    same moving statistics. (Keras' own `synchronized` knows neither Horovod
    nor other backends than TensorFlow.) Replicas have batches of one size.
    """

    def build(self, input_shape):
        super().build(input_shape)
        moved_by_calls(self.moving_mean)
        moved_by_calls(self.moving_variance)

    def reduce_moments(self, mean, variance):
        if replicas.num_replicas() == 1:
            return mean, variance
        # Not the mean square less the squared mean, which cancels.
        all_mean = replicas.all_reduce_mean(mean)
        variance = variance + ops.square(mean - all_mean)
        return all_mean, replicas.all_reduce_mean(variance)
