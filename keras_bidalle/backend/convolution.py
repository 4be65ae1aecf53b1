"""The 2D convolution of the library, alike on all backends and settings."""

from typing import Any

import keras
from keras import ops

from keras_bidalle.backend.current import is_eager


@keras.saving.register_keras_serializable(package="keras_bidalle")
class Conv2D(keras.layers.Conv2D):
    """`keras.layers.Conv2D` of channels-last maps, whatever keras.json says.

    PyTorch on a CPU has no gradient of a single filter for a batch of one
    ("grad_weight must be contiguous"); here it has.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{**kwargs, "data_format": "channels_last"})

    def convolution_op(self, inputs: Any, kernel: Any) -> Any:
        if self.filters > 1 or not is_eager():
            return super().convolution_op(inputs, kernel)
        two = ops.concatenate([kernel, ops.zeros_like(kernel)], axis=-1)
        return super().convolution_op(inputs, two)[..., :1]
