"""How gradients pass the choice of a code, which has none of its own."""

import keras
from keras import ops

from keras_bidalle import named
from keras_bidalle.backend.noise import NoiseSeedGenerator
from keras_bidalle.quantizers.distances import unit_rows
from keras_bidalle.validation import check_at_least


class GradientEstimator(named.Named):
    """Gives code vectors the gradients of the latents that chose them.

    Call arguments:
        z: float32 tensor (..., C), the latents.
        quantized: float32 tensor like `z`, their code vectors.
        training: bool or `None`.

    Returns:
        Tensor like `z` with the values of `quantized`.
    """

    def __call__(self, z, quantized, training=None):
        raise NotImplementedError


@keras.saving.register_keras_serializable(package="keras_bidalle")
class StraightThrough(GradientEstimator):
    """The gradient of `z` is that of the output, as it is.

    Reference:
        [Neural Discrete Representation
        Learning](https://arxiv.org/abs/1711.00937), Sec. 3.2.
    """

    def __call__(self, z, quantized, training=None):
        return ops.stop_gradient(quantized) + (z - ops.stop_gradient(z))


@keras.saving.register_keras_serializable(package="keras_bidalle")
class RotationTrick(GradientEstimator):
    """Turns and scales gradients as the latent is turned into its code.

    `|e|/|z| (z - 2 (z . r) r + 2 (z . u) v)`, with u = z/|z|, v = e/|e| and
    r = (u + v)/|u + v|, all constants but z: the values of e, and gradients
    that keep their angle to the latent. The codebook and commitment losses
    stay as they are.

    Reference:
        [Restructuring Vector Quantization with the Rotation
        Trick](https://arxiv.org/abs/2410.06424), section 4.
    """

    def __call__(self, z, quantized, training=None):
        constant, e = ops.stop_gradient(z), ops.stop_gradient(quantized)
        u, v = unit_rows(constant), unit_rows(e)
        r = unit_rows(u + v)
        length = ops.sqrt(_dot(constant, constant))
        scale = ops.sqrt(_dot(e, e)) / ops.maximum(length, 1e-12)
        # A latent of no length has no direction to turn.
        scale = ops.where(length > 1e-6, scale, 1.0)
        turned = scale * (z - 2.0 * _dot(z, r) * r + 2.0 * _dot(z, u) * v)
        # To the last digit, and for opposite vectors, which have no r.
        return turned + ops.stop_gradient(e - turned)


@keras.saving.register_keras_serializable(package="keras_bidalle")
class DiVeQ(GradientEstimator):
    """Moves latents and code vectors along the line between them.

    `z + |e - z| sg[d / |d|]`, with d = e - z + n and n normal noise, in
    training only: the values of e but for the noise, and gradients to both.
    So neither loss is needed: `commitment_weight=0` and, of a
    `VectorQuantizer`, `codebook_weight=0`.

    Args:
        noise: float, the deviation of n; at most a hundredth of the usual
            |e - z|.
        seed: int or `None`, for the noise.

    Reference:
        [DiVeQ: Differentiable Vector Quantization Using the
        Reparameterization Trick](https://arxiv.org/abs/2509.26469), section 3.
    """

    def __init__(self, noise: float = 1e-3, seed: int | None = None) -> None:
        check_at_least(noise=noise)
        self.noise = noise
        self.seed = seed
        self.seed_generator = NoiseSeedGenerator(seed)

    def __call__(self, z, quantized, training=None):
        difference = quantized - z
        # The constant keeps the root's slope finite where both are equal.
        length = ops.sqrt(_dot(difference, difference) + 1e-20)
        if training and self.noise:
            difference = difference + self.noise * keras.random.normal(
                ops.shape(z), dtype="float32", seed=self.seed_generator
            )
        return z + length * ops.stop_gradient(unit_rows(difference))


def _dot(x, y):
    return ops.sum(x * y, axis=-1, keepdims=True)


ESTIMATORS: dict[str, type[GradientEstimator]] = {
    "straight_through": StraightThrough,
    "rotation": RotationTrick,
    "diveq": DiVeQ,
}
