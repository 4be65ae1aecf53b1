"""The likelihood of pixel values that DALL-E's discrete VAE is trained with.

It is that of the sigmoid of a Laplace variable, which lives between 0 and 1.
"""

import math
from typing import Any

import keras
from keras import ops

from keras_bidalle import named
from keras_bidalle.validation import is_number, refused


def map_pixels(images: Any, epsilon: float = 0.1) -> Any:
    """Maps images to where the logit-Laplace density has no poles.

    The published map is `(1 - 2 epsilon) v / 255 + epsilon` of values v in
    [0, 255]; images here are `v / 127.5 - 1`.

    Args:
        images: float tensor of any shape, values in [-1, 1].
        epsilon: float, between 0 and 0.5.

    Returns:
        float32 tensor like `images`, values in [epsilon, 1 - epsilon].

    Reference:
        [Zero-Shot Text-to-Image Generation](
        https://arxiv.org/abs/2102.12092), appendix A.3.
    """
    _check_epsilon(epsilon)
    half = (ops.cast(images, "float32") + 1.0) / 2.0
    return (1.0 - 2.0 * epsilon) * half + epsilon


def unmap_pixels(mapped: Any, epsilon: float = 0.1) -> Any:
    """Undoes `map_pixels`.

    Args:
        mapped: float tensor of any shape; values outside
            [epsilon, 1 - epsilon] are clipped.
        epsilon: float, between 0 and 0.5.

    Returns:
        float32 tensor like `mapped`, images in [-1, 1].
    """
    _check_epsilon(epsilon)
    half = (ops.cast(mapped, "float32") - epsilon) / (1.0 - 2.0 * epsilon)
    return 2.0 * ops.clip(half, 0.0, 1.0) - 1.0


def _check_epsilon(epsilon):
    if not is_number(epsilon) or not 0 < epsilon < 0.5:
        raise refused("be a number between 0 and 0.5", epsilon=epsilon)


@keras.saving.register_keras_serializable(package="keras_bidalle")
class LogitLaplace(named.Named):
    """Negative log-likelihood of images, the mean over all values.

    With x a value after `map_pixels`, and mu and b of its own,

        p(x) = exp(-|logit(x) - mu| / b) / (2 b x (1 - x)).

    A decoder gives mu and ln b in two halves of its output's channels.

    The mean over values is the published scale: there the whole evidence
    lower bound, `-ln p(x|z) + beta KL`, each a sum over an image, is divided
    by 256 * 256 * 3. The divergence, a sum over 32 * 32 codes, so weighs
    `beta / 192` beside this loss where it is a mean over codes, as in
    `GumbelQuantizer`; in general `beta / (factor**2 * channels)`.

    Args:
        epsilon: float, between 0 and 0.5, the margin of `map_pixels`.

    Call arguments:
        images: float tensor (B, H, W, C), values in [-1, 1].
        statistics: float tensor (B, H, W, 2 C), mu then ln b.

    Returns:
        float32 scalar.

    Raises:
        ValueError: if `epsilon` is out of its range, or `statistics` do not
            have two channels for each of `images`.

    Reference:
        [Zero-Shot Text-to-Image Generation](
        https://arxiv.org/abs/2102.12092), appendix A.2 and A.3, Equation 2.
    """

    def __init__(self, epsilon: float = 0.1) -> None:
        _check_epsilon(epsilon)
        self.epsilon = epsilon

    def __call__(self, images, statistics):
        return -ops.mean(self.log_likelihood(images, statistics))

    def log_likelihood(self, images: Any, statistics: Any) -> Any:
        """Gives ln p(x) of each value, float32 tensor (B, H, W, C)."""
        mu, log_b = self.split(statistics)
        if images.shape[-1] != mu.shape[-1]:
            raise ValueError(
                "`statistics` must have two channels for each of `images`. "
                f"Received: images of shape {tuple(images.shape)}, "
                f"statistics of shape {tuple(statistics.shape)}"
            )
        x = map_pixels(images, self.epsilon)
        log_x, log_rest = ops.log(x), ops.log(1.0 - x)
        distance = ops.abs(log_x - log_rest - mu)
        return -(
            math.log(2.0)
            + log_b
            + log_x
            + log_rest
            + distance * ops.exp(-log_b)
        )

    def pictures(self, statistics: Any) -> Any:
        """The median, without its spread: the images to show.

        Returns:
            float32 tensor (B, H, W, C) in [-1, 1], `unmap(sigmoid(mu))`.
        """
        mu, _ = self.split(statistics)
        return unmap_pixels(ops.sigmoid(mu), self.epsilon)

    def split(self, statistics: Any) -> Any:
        """Gives mu and ln b, float32 tensors (B, H, W, C)."""
        mu, log_b = ops.split(ops.cast(statistics, "float32"), 2, axis=-1)
        return mu, log_b
