"""How image tokenizers learn: one `compute_loss` for plain `fit`.

With a discriminator there are two players, and still one loss: each player's
term reads the other as a constant, and one `MultiOptimizer` gives each its
own optimizer. So the stock `fit` of each backend trains both.
"""

import threading

import keras
from keras import ops
from keras.saving import deserialize_keras_object, serialize_keras_object

from keras_bidalle.backend import replicas
from keras_bidalle.backend.optimizers import compile_arguments, synchronized
from keras_bidalle.image_tokenizers.training_images import (
    TrainingImages,
    as_float_images,
)
from keras_bidalle.losses.adversarial import frozen
from keras_bidalle.metrics.psnr import psnr

PIXEL_LOSSES = {
    "l1": lambda real, fake: ops.mean(ops.abs(real - fake)),
    "l2": lambda real, fake: ops.mean(ops.square(real - fake)),
}


class TokenizerTraining:
    """What `ImageTokenizer` adds to a Keras model for training."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.adversarial = None
        self._pixel_loss = None
        # What the call of a step leaves to `compute_loss`, which follows in
        # the same trace. Replicas of one process are threads.
        self._step = threading.local()

    def compile(
        self,
        optimizer="adam",
        reconstruction_loss="l1",
        perceptual=None,
        perceptual_weight=1.0,
        adversarial=None,
        discriminator_optimizer=None,
        **kwargs,
    ):
        """Says how `fit` trains the tokenizer.

        The loss is the reconstruction loss, plus `perceptual_weight` times
        the perceptual one, plus what the quantizer adds, plus the terms of
        both adversarial players.

        Args:
            optimizer: str or `keras.optimizers.Optimizer`.
            reconstruction_loss: `"l1"`, `"l2"`, a dict of weights such as
                `{"l2": 1.0, "l1": 0.2}`, or a callable of real and
                reconstructed images (B, H, W, C).
            perceptual: None or a callable of real and reconstructed
                images to a loss for each image (or a scalar), such as
                `keras_bidalle.losses.LPIPS`. It is not trained or saved.
            perceptual_weight: float.
            adversarial: None or a `keras_bidalle.losses.AdversarialLoss`,
                which holds the discriminator.
            discriminator_optimizer: optimizer of the discriminator; by
                default another one with the settings of `optimizer`.
            **kwargs: `run_eagerly`, `steps_per_execution`, `jit_compile`,
                as in `keras.Model.compile`.

        Reference:
            Esser et al., "Taming Transformers for High-Resolution Image
            Synthesis", 2021, section 3.1 (arXiv:2012.09841).
        """
        for name in ("loss", "metrics", "loss_weights", "weighted_metrics"):
            if kwargs.get(name) is not None:
                raise ValueError(
                    f"An image tokenizer makes its own losses and metrics. "
                    f"Received: {name}={kwargs[name]}"
                )
        optimizer = keras.optimizers.get(optimizer)
        self._pixel_loss = self._get_pixel_loss(reconstruction_loss)
        # Behind a function, where Keras does not track it: a perceptual
        # network is not part of this model's weights.
        self._perceptual = None
        if perceptual is not None and perceptual_weight:
            self._perceptual = lambda real, fake: perceptual(real, fake)
        self._perceptual_weight = perceptual_weight
        self.adversarial = adversarial
        players = optimizer
        if adversarial is not None:
            if not adversarial.built:
                adversarial.build((None, *self.image_shape))
            discriminator_optimizer = keras.optimizers.get(
                discriminator_optimizer
            ) or type(optimizer).from_config(optimizer.get_config())
            players = keras.optimizers.MultiOptimizer(
                keras.optimizers.OptimizerMap(
                    optimizer,
                    {
                        variable.path: discriminator_optimizer
                        for variable in adversarial.trainable_variables
                    },
                )
            )
        self._trackers = {
            name: keras.metrics.Mean(name=name)
            for name in self._tracked_names()
        }
        super().compile(optimizer=players, **compile_arguments(kwargs))
        synchronized(self.optimizer)
        # Now, so that a checkpoint finds the optimizers' state to restore.
        self.optimizer.build(self.trainable_variables)
        arguments = {
            "optimizer": optimizer,
            "reconstruction_loss": reconstruction_loss,
            "perceptual": perceptual,
            "perceptual_weight": perceptual_weight,
            "adversarial": adversarial,
            "discriminator_optimizer": discriminator_optimizer,
            **kwargs,
        }
        self._compile_arguments = lambda: arguments

    def fit(self, x=None, *args, validation_data=None, **kwargs):
        """As `keras.Model.fit`, on images alone.

        Args:
            x: images (B, H, W, C), uint8 in [0, 255] or float in [-1, 1],
                or any stream of batches of such that `keras.Model.fit` takes.
                The sides may be others than those of `image_shape`, if the
                encoder's factor divides them.
            *args: as in `keras.Model.fit`.
            validation_data: like `x`, or `None`.
            **kwargs: as in `keras.Model.fit`.

        Raises:
            ValueError: on a wrong shape or range.
            TypeError: on a wrong dtype.
        """
        images = self._training_images
        if validation_data is not None:
            kwargs["validation_data"] = images.checked(
                validation_data, "validation_data"
            )
        return super().fit(images.checked(x), *args, **kwargs)

    def evaluate(self, x=None, *args, **kwargs):
        """As `keras.Model.evaluate`, on images as `fit` takes them."""
        return super().evaluate(
            self._training_images.checked(x), *args, **kwargs
        )

    @property
    def _training_images(self):
        return TrainingImages(self.encoder.factor, self.image_shape[-1])

    def get_compile_config(self):
        if not self.compiled:
            return {}
        return serialize_keras_object(self._compile_arguments())

    def compile_from_config(self, config):
        self.compile(**deserialize_keras_object(config))

    def _get_pixel_loss(self, reconstruction_loss):
        """Makes a function of real and reconstructed images to a scalar."""
        return _pixel_loss(reconstruction_loss)

    def _tracked_names(self):
        names = ["reconstruction_loss", "quantizer_loss", "psnr"]
        if self._perceptual is not None:
            names += ["perceptual_loss"]
        if self.adversarial is not None:
            names += ["generator_loss", "discriminator_loss"]
            names += ["adaptive_weight", "real_logits", "fake_logits"]
        return names

    def _reconstruct(self, decoded, training):
        """Runs the decoder, keeping what the loss asks for."""
        if self.adversarial is None:
            return self.decoder(decoded, training=training)
        features = self.decoder.features(decoded, training=training)
        if training is not None:
            self._step.features = features
        return self.decoder.head(features)

    def compute_loss(
        self, x=None, y=None, y_pred=None, sample_weight=None, training=True
    ):
        if self._pixel_loss is None:
            raise ValueError("Call `compile` before `fit` or `evaluate`.")
        try:
            return self._total_loss(
                as_float_images(x), ops.cast(y_pred, "float32"), training
            )
        finally:
            vars(self._step).clear()

    def _total_loss(self, real, fake, training):
        quantizer_loss = sum(self.losses, ops.zeros((), "float32"))
        decibels = psnr(real, ops.clip(fake, -1.0, 1.0))
        values = {"quantizer_loss": quantizer_loss, "psnr": ops.mean(decibels)}

        if self.adversarial is None:
            total = self._reconstruction_loss(real, fake)
            reconstruction = total
        else:
            features = ops.stop_gradient(self._step.features)
            terms = self.adversarial(
                real,
                fake,
                reconstruction_loss=lambda fake: self._reconstruction_loss(
                    real, fake
                ),
                head=lambda kernel: self._head(features, kernel),
                kernel=self.decoder.conv_out.kernel.value,
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
        for name, value in values.items():
            self._trackers[name].update_state(ops.stop_gradient(value))
        self.quantizer.update_metrics()
        return replicas.share_of_loss(total + quantizer_loss)

    def _reconstruction_loss(self, real, fake):
        loss = self._pixel_loss(real, fake)
        if self._perceptual is not None:
            loss += self._perceptual_weight * ops.mean(
                ops.cast(self._perceptual(real, fake), "float32")
            )
        return loss

    def _head(self, features, kernel):
        """The decoder's last layer on fixed features, with another kernel."""
        last = self.decoder.conv_out
        with frozen(last, [(last.kernel, kernel)]):
            return self.decoder.head(features)


def _pixel_loss(reconstruction_loss):
    """Makes a function of real and reconstructed images to a scalar."""
    if callable(reconstruction_loss):
        return lambda real, fake: ops.mean(reconstruction_loss(real, fake))
    if isinstance(reconstruction_loss, str):
        weights = {reconstruction_loss: 1.0}
    else:
        weights = dict(reconstruction_loss)
    if not weights or not set(weights) <= set(PIXEL_LOSSES):
        raise ValueError(
            f"`reconstruction_loss` must be one of {tuple(PIXEL_LOSSES)}, a "
            f"dict of their weights, or a callable. "
            f"Received: reconstruction_loss={reconstruction_loss!r}"
        )
    return lambda real, fake: sum(
        weight * PIXEL_LOSSES[name](real, fake)
        for name, weight in weights.items()
    )
