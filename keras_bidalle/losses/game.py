"""The losses of the two players of an adversarial game."""

from typing import Any

import keras
from keras import ops

from keras_bidalle import named


@keras.saving.register_keras_serializable(package="keras_bidalle")
class HingeLoss(named.Named):
    """The hinge losses of both players, on logits.

    Reference:
        Lim and Ye, "Geometric GAN" (2017), Equations 12 and 13, halved for
        the discriminator as in VQGAN.
    """

    def generator(self, fake_logits: Any) -> Any:
        """Returns the scalar `-mean(fake_logits)`."""
        return -ops.mean(fake_logits)

    def discriminator(self, real_logits: Any, fake_logits: Any) -> Any:
        """Returns half the mean of `relu(1 - real) + relu(1 + fake)`."""
        return 0.5 * (
            ops.mean(ops.relu(1.0 - real_logits))
            + ops.mean(ops.relu(1.0 + fake_logits))
        )


@keras.saving.register_keras_serializable(package="keras_bidalle")
class VanillaLoss(HingeLoss):
    """Cross-entropy for the discriminator, on logits.

    The generator's loss is `-mean(fake_logits)`, as in VQGAN, and not the
    cross-entropy of the original.

    Reference:
        Goodfellow et al., "Generative Adversarial Nets" (2014), Equation 1.
    """

    def discriminator(self, real_logits: Any, fake_logits: Any) -> Any:
        """Returns half the mean of `softplus(-real) + softplus(fake)`."""
        return 0.5 * (
            ops.mean(ops.softplus(-real_logits))
            + ops.mean(ops.softplus(fake_logits))
        )
