"""What "nearest code" means: the distances a codebook can search by."""

import keras
from keras import ops

from keras_bidalle import named


def unit_rows(x):
    """Scales the rows of `x` (..., C) to length 1; zero rows stay zero."""
    square = ops.sum(ops.square(x), axis=-1, keepdims=True)
    return x * ops.rsqrt(ops.maximum(square, 1e-24))


class Distance(named.Named):
    """A distance from latents to codes, smaller is nearer, never negative.

    Call arguments:
        z: float32 tensor (N, C).
        codebook: float32 tensor (K, C).

    Returns:
        float32 tensor (N, K).
    """

    def __call__(self, z, codebook):
        raise NotImplementedError


@keras.saving.register_keras_serializable(package="keras_bidalle")
class L2Distance(Distance):
    """Squared Euclidean distance, `||z - e||^2`."""

    def __call__(self, z, codebook):
        squares = (
            ops.sum(ops.square(z), axis=-1, keepdims=True)  # (N, 1)
            - 2.0 * ops.matmul(z, ops.transpose(codebook))  # (N, K)
            + ops.sum(ops.square(codebook), axis=-1)  # (K,)
        )
        return ops.maximum(squares, 0.0)


@keras.saving.register_keras_serializable(package="keras_bidalle")
class CosineDistance(Distance):
    """`1 - cos(z, e)`, in [0, 2]: length plays no part in the search."""

    def __call__(self, z, codebook):
        cosine = ops.matmul(unit_rows(z), ops.transpose(unit_rows(codebook)))
        return ops.maximum(1.0 - cosine, 0.0)


@keras.saving.register_keras_serializable(package="keras_bidalle")
class DotProduct(Distance):
    """`|z| max|e| - z . e`: the nearest code has the largest product."""

    def __call__(self, z, codebook):
        length = ops.sqrt(ops.sum(ops.square(z), axis=-1, keepdims=True))
        largest = ops.sqrt(ops.max(ops.sum(ops.square(codebook), axis=-1)))
        product = ops.matmul(z, ops.transpose(codebook))
        return ops.maximum(length * largest - product, 0.0)


DISTANCES: dict[str, type[Distance]] = {
    "l2": L2Distance,
    "cosine": CosineDistance,
    "dot": DotProduct,
}
