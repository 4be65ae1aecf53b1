"""How gradients pass the choice of a code, which has none of its own."""

from typing import Any

import keras
from keras import ops

from keras_bidalle import named


class GradientEstimator(named.Named):
    """Gives code vectors the gradients of the latents that chose them.

    Call arguments:
        z: float32 tensor (..., C), the latents.
        quantized: float32 tensor like `z`, their code vectors.

    Returns:
        Tensor like `z` with the values of `quantized`.
    """

    def __call__(self, z, quantized):
        raise NotImplementedError


@keras.saving.register_keras_serializable(package="keras_bidalle")
class StraightThrough(GradientEstimator):
    """The gradient of `z` is that of the output, as it is.

    Reference:
        [Neural Discrete Representation
        Learning](https://arxiv.org/abs/1711.00937), Sec. 3.2.
    """

    def __call__(self, z, quantized):
        return ops.stop_gradient(quantized) + (z - ops.stop_gradient(z))


_ESTIMATORS = {"straight_through": StraightThrough}


def get(identifier: Any) -> GradientEstimator:
    """Gives an estimator: `"straight_through"`, a serialized one, or one."""
    return named.get("gradient", identifier, GradientEstimator, _ESTIMATORS)
