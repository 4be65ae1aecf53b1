"""Losses that image tokenizers train with, beside the quantizers' own."""

from keras_bidalle.backend.gradients import linearize, value_and_gradient
from keras_bidalle.losses.adversarial import (
    AdversarialLoss,
    AdversarialTerms,
    adaptive_weight,
)
from keras_bidalle.losses.discriminator import PatchDiscriminator
from keras_bidalle.losses.game import HingeLoss, VanillaLoss
from keras_bidalle.losses.logit_laplace import (
    LogitLaplace,
    map_pixels,
    unmap_pixels,
)
from keras_bidalle.losses.perceptual import LPIPS

__all__ = [
    "AdversarialLoss",
    "AdversarialTerms",
    "HingeLoss",
    "LPIPS",
    "LogitLaplace",
    "PatchDiscriminator",
    "VanillaLoss",
    "adaptive_weight",
    "linearize",
    "map_pixels",
    "unmap_pixels",
    "value_and_gradient",
]
