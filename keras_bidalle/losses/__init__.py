"""Losses that image tokenizers train with, beside the quantizers' own."""

from keras_bidalle.losses.adversarial import (
    AdversarialLoss,
    AdversarialTerms,
    adaptive_weight,
)
from keras_bidalle.losses.discriminator import PatchDiscriminator
from keras_bidalle.losses.game import HingeLoss, VanillaLoss
from keras_bidalle.losses.gradients import linearize, value_and_gradient
from keras_bidalle.losses.perceptual import LPIPS

__all__ = [
    "AdversarialLoss",
    "AdversarialTerms",
    "HingeLoss",
    "LPIPS",
    "PatchDiscriminator",
    "VanillaLoss",
    "adaptive_weight",
    "linearize",
    "value_and_gradient",
]
