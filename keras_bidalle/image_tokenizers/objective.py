"""What image tokenizers learn from: one loss for plain `fit`.

With a discriminator there are two players, and still one loss: each player's
term reads the other as a constant, and one `MultiOptimizer` gives each its
own optimizer. So the stock `fit` of each backend trains both.
"""

import threading
from collections.abc import Mapping

import keras
from keras import ops

from keras_bidalle.losses.adversarial import AdversarialLoss, frozen
from keras_bidalle.metrics.psnr import decibels
from keras_bidalle.validation import check_at_least, refused

PIXEL_LOSSES = {
    "l1": lambda real, fake: ops.mean(ops.abs(real - fake)),
    "l2": lambda real, fake: ops.mean(ops.square(real - fake)),
}


def check_players(adversarial, discriminator_optimizer):
    """Raises a `ValueError` unless both fit each other."""
    if not isinstance(adversarial, AdversarialLoss | None):
        raise refused("be None or an AdversarialLoss", adversarial=adversarial)
    if adversarial is None and discriminator_optimizer is not None:
        raise refused(
            "be None without `adversarial`: there is no discriminator",
            discriminator_optimizer=discriminator_optimizer,
        )


def optimizer_of_players(adversarial, optimizer, discriminator_optimizer):
    """One optimizer, of the tokenizer and of the discriminator if any."""
    if adversarial is None:
        return optimizer
    discriminator_optimizer = keras.optimizers.get(
        discriminator_optimizer
    ) or type(optimizer).from_config(optimizer.get_config())
    paths = [variable.path for variable in adversarial.trainable_variables]
    return keras.optimizers.MultiOptimizer(
        keras.optimizers.OptimizerMap(
            optimizer, dict.fromkeys(paths, discriminator_optimizer)
        )
    )


class Objective:
    """The loss of a tokenizer, but for what its quantizer adds.

    Keras does not look into this object, so that a perceptual network in it
    is no part of the model's weights. The arguments are those of
    `ImageTokenizer.compile`; a decoder may have losses of its own, functions
    of images and of its features, in `feature_losses`.
    """

    def __init__(
        self,
        decoder,
        reconstruction_loss,
        perceptual,
        perceptual_weight,
        adversarial,
    ):
        check_at_least(perceptual_weight=perceptual_weight)
        if perceptual is not None and not callable(perceptual):
            raise refused(
                "be None or a callable, such as `losses.LPIPS`",
                perceptual=perceptual,
            )
        self._decoder = decoder
        self._perceptual = perceptual if perceptual_weight else None
        self._perceptual_weight = perceptual_weight
        self._adversarial = adversarial
        own_losses = getattr(decoder, "feature_losses", {})
        of_features = (
            isinstance(reconstruction_loss, str)
            and reconstruction_loss in own_losses
        )
        if of_features:
            own_loss = own_losses[reconstruction_loss]
            self._pixel_loss = lambda real, fake: own_loss(
                real, self._step.features
            )
        else:
            self._pixel_loss = _pixel_loss(reconstruction_loss)
        self.reads_features = of_features or adversarial is not None
        # What the call of a step leaves to the loss, which follows in the
        # same trace. Replicas of one process are threads.
        self._step = threading.local()

    @property
    def names(self):
        """Names of the values that are logged."""
        names = ["reconstruction_loss", "quantizer_loss", "psnr"]
        if self._perceptual is not None:
            names += ["perceptual_loss"]
        if self._adversarial is not None:
            names += ["generator_loss", "discriminator_loss"]
            names += ["adaptive_weight", "real_logits", "fake_logits"]
        return names

    def keep(self, features):
        self._step.features = features

    def __call__(self, real, fake, training):
        """The total of float32 images (B, H, W, C), and values to log."""
        try:
            return self._total(real, fake, training)
        finally:
            vars(self._step).clear()

    def _total(self, real, fake, training):
        values = {
            "psnr": ops.mean(decibels(real, ops.clip(fake, -1.0, 1.0), 2.0))
        }
        if self._adversarial is None:
            total = reconstruction = self._reconstruction_loss(real, fake)
        else:
            features = ops.stop_gradient(self._step.features)
            terms = self._adversarial(
                real,
                fake,
                reconstruction_loss=lambda fake: self._reconstruction_loss(
                    real, fake
                ),
                head=lambda kernel: self._head(features, kernel),
                kernel=self._decoder.conv_out.kernel.value,
                training=training,
            )
            reconstruction = terms.reconstruction
            total = reconstruction + terms.generator + terms.discriminator
            values["generator_loss"] = terms.generator
            values["discriminator_loss"] = terms.discriminator
            for name in ("adaptive_weight", "real_logits", "fake_logits"):
                values[name] = getattr(terms, name)
        values["reconstruction_loss"] = reconstruction
        if self._perceptual is not None:
            pixels = self._pixel_loss(real, fake)
            values["reconstruction_loss"] = pixels
            values["perceptual_loss"] = (
                reconstruction - pixels
            ) / self._perceptual_weight
        return total, values

    def _reconstruction_loss(self, real, fake):
        loss = self._pixel_loss(real, fake)
        if self._perceptual is not None:
            loss += self._perceptual_weight * ops.mean(
                ops.cast(self._perceptual(real, fake), "float32")
            )
        return loss

    def _head(self, features, kernel):
        """The decoder's last layer on fixed features, with another kernel."""
        last = self._decoder.conv_out
        with frozen(last, [(last.kernel, kernel)]):
            return self._decoder.head(features)


def _pixel_loss(reconstruction_loss):
    """Makes a function of real and reconstructed images to a scalar."""
    if callable(reconstruction_loss):
        return lambda real, fake: ops.mean(reconstruction_loss(real, fake))
    weights = {}
    if isinstance(reconstruction_loss, str):
        weights = {reconstruction_loss: 1.0}
    elif isinstance(reconstruction_loss, Mapping):
        weights = dict(reconstruction_loss)
    if not weights or not set(weights) <= set(PIXEL_LOSSES):
        raise refused(
            f"be one of {tuple(PIXEL_LOSSES)}, a dict of their weights, or a "
            "callable",
            reconstruction_loss=reconstruction_loss,
        )
    for name, weight in weights.items():
        check_at_least(**{f"reconstruction_loss[{name!r}]": weight})
    return lambda real, fake: sum(
        weight * PIXEL_LOSSES[name](real, fake)
        for name, weight in weights.items()
    )
