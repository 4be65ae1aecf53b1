"""Adversarial training of an image tokenizer inside one `compute_loss`.

Both players' terms are computed in one pass, each reading the other as a
constant, so that plain `compile` and `fit` train them on every backend. The
reconstruction and the generator's loss are evaluated once each; the adaptive
weight reuses their gradients at the image, so it costs one small convolution.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import keras
from keras import ops

from keras_bidalle.arguments import Configured
from keras_bidalle.backend import replicas
from keras_bidalle.backend.gradients import linearize, value_and_gradient
from keras_bidalle.backend.state_guard import StateGuard, moved_by_calls
from keras_bidalle.losses.discriminator import PatchDiscriminator
from keras_bidalle.losses.game import HingeLoss, VanillaLoss
from keras_bidalle.validation import check_at_least, check_count, refused


class AdversarialTerms(NamedTuple):
    """What one step adds up: the loss is the sum of the first three.

    All are float32 scalars.

    Attributes:
        reconstruction: the value of `reconstruction_loss(fake)`.
        generator: the generator's loss, weighted and scheduled; its gradient
            reaches the images but not the discriminator.
        discriminator: the discriminator's loss, scheduled; its gradient reaches
            the discriminator but not the images.
        adaptive_weight: the weight of the generator's loss before the schedule,
            a constant.
        real_logits: the discriminator's mean logit of images, to look at.
        fake_logits: that of reconstructions; when the two drift far apart the
            discriminator has won.
    """

    reconstruction: Any
    generator: Any
    discriminator: Any
    adaptive_weight: Any
    real_logits: Any
    fake_logits: Any


_LOSSES = {"hinge": HingeLoss, "vanilla": VanillaLoss}


def adaptive_weight(
    reconstruction_gradient: Any, generator_gradient: Any
) -> Any:
    """Returns the ratio of two gradient norms, clipped to [0, 1e4].

    Args:
        reconstruction_gradient: float tensor, the gradient of the
            reconstruction loss with respect to the decoder's last kernel.
        generator_gradient: float tensor, that of the generator's loss.

    Returns:
        Float32 scalar, a constant.

    Reference:
        As `AdversarialLoss`, Equation 7. The published program has 1e-4 in
        the denominator where the paper has 1e-6.
    """
    ratio = ops.divide(
        _norm(reconstruction_gradient), _norm(generator_gradient) + 1e-4
    )
    return ops.stop_gradient(ops.clip(ratio, 0.0, 1e4))


def _norm(x):
    return ops.sqrt(ops.sum(ops.square(ops.cast(x, "float32"))))


def frozen(layer, instead=()):
    """A scope in which a built `layer` reads its variables as constants.

    What the layer writes inside (moving statistics, say) is dropped.
    `instead` has pairs of a variable and what is read in its place.
    """
    # Every variable is mapped: inside this scope an unmapped one would be
    # read from its own storage, past the scope that a JAX trainer opened.
    constants = [
        (variable, ops.stop_gradient(variable.value))
        for variable in layer.variables
    ]
    return keras.StatelessScope(state_mapping=[*constants, *instead])


@keras.saving.register_keras_serializable(package="keras_bidalle")
class AdversarialLoss(Configured, keras.layers.Layer):
    """Adds a discriminator to the training of an image tokenizer.

    Pass it to an image tokenizer's `compile`. The generator's loss is
    weighted by `weight` times the ratio of gradient norms of
    `adaptive_weight`, so that both losses pull equally hard on the
    decoder's last convolution whatever their scale.

    Args:
        discriminator: layer from images (B, H, W, C) to logits, a
            `PatchDiscriminator` by default.
        loss: `"hinge"`, `"vanilla"`, or an object with the methods
            `generator(fake_logits)` and
            `discriminator(real_logits, fake_logits)`.
        weight: float, multiplies the adaptive weight.
        start_step: int, the first training step at which the generator sees
            the discriminator.
        discriminator_start_step: int or None, the first step at which the
            discriminator trains, `start_step` by default. An earlier one
            lets it catch up, so that its loss enters less abruptly.
        ramp_steps: int, over how many steps from `start_step` the
            generator's loss comes in linearly; 0 is at once.

    Call arguments:
        real: float tensor (B, H, W, C) in [-1, 1].
        fake: float tensor (B, H, W, C), the reconstruction.
        reconstruction_loss: callable from images like `fake` to a scalar, a
            function since JAX differentiates functions and not graphs.
        head: callable from `kernel` to `fake`, the decoder's last layer on
            fixed features; None leaves the adaptive ratio out (1). Neither
            callable may write variables.
        kernel: float tensor, the weights of that layer; None with `head`.
        training: bool; only training steps are counted.

    Returns:
        `AdversarialTerms` of float32 scalars.

    Example:

    ```python
    tokenizer.compile(
        optimizer="adam",
        adversarial=AdversarialLoss(PatchDiscriminator(), start_step=10_000),
    )
    ```

    Reference:
        Esser et al., "Taming Transformers for High-Resolution Image
        Synthesis" (2021), Section 3.1, Equations 6 and 7.
    """

    def __init__(
        self,
        discriminator: Any = None,
        loss: Any = "hinge",
        weight: float = 0.8,
        start_step: int = 0,
        discriminator_start_step: Any = None,
        ramp_steps: int = 0,
        **kwargs: Any,
    ) -> None:
        # The players cast what they read themselves; the terms are float32.
        super().__init__(autocast=False, **kwargs)
        check_at_least(weight=weight)
        check_count(start_step=start_step, ramp_steps=ramp_steps)
        if discriminator_start_step is not None:
            check_count(discriminator_start_step=discriminator_start_step)
        if discriminator is None:
            discriminator = PatchDiscriminator()
        if not isinstance(discriminator, keras.layers.Layer):
            raise refused(
                "be None or a layer from images to logits",
                discriminator=discriminator,
            )
        named = isinstance(loss, str) and loss in _LOSSES
        self._loss = _LOSSES[loss]() if named else loss
        for player in ("generator", "discriminator"):
            if not callable(getattr(self._loss, player, None)):
                raise refused(
                    f"be one of {sorted(_LOSSES)} or an object with methods "
                    "`generator` and `discriminator`",
                    loss=loss,
                )
        self.discriminator = discriminator
        self.loss = loss
        self.weight = weight
        self.start_step = start_step
        self.discriminator_start_step = discriminator_start_step
        self.ramp_steps = ramp_steps
        # "int" is 64 bits wide on TensorFlow, where 32-bit variables stay
        # in host memory beside a GPU.
        step = self.add_weight(
            shape=(),
            initializer="zeros",
            dtype="int",
            trainable=False,
            aggregation="only_first_replica",
            name="step",
        )
        self.step = moved_by_calls(step)

    def build(self, real_shape: Any) -> Any:
        if not self.discriminator.built:
            self.discriminator.build(real_shape)

    def call(
        self,
        real: Any,
        fake: Any,
        *,
        reconstruction_loss: Callable[..., Any],
        head: Callable[..., Any] | None = None,
        kernel: Any = None,
        training: bool | None = None,
    ) -> Any:
        fake = ops.cast(fake, "float32")
        guard = StateGuard(self, [real, fake]) if training else None
        reconstruction, reconstruction_slope = linearize(
            lambda x: ops.cast(reconstruction_loss(x), "float32"), fake
        )
        generator, generator_slope = linearize(
            lambda x: self.generator_loss(x, training=training), fake
        )
        weight = ops.convert_to_tensor(self.weight, "float32")
        if head is not None:
            weight = weight * adaptive_weight(
                _pull_back(head, kernel, reconstruction_slope),
                _pull_back(head, kernel, generator_slope),
            )
        real_logits, fake_logits = self._judge(real, fake, training)
        discriminator = self._loss.discriminator(real_logits, fake_logits)
        generator_share, discriminator_share = self._schedule()
        if guard is not None:
            self.step.assign(self.step + 1)
            guard.end()
        return AdversarialTerms(
            reconstruction=reconstruction,
            generator=generator_share * weight * generator,
            discriminator=discriminator_share * discriminator,
            adaptive_weight=weight,
            real_logits=ops.mean(real_logits),
            fake_logits=ops.mean(fake_logits),
        )

    def generator_loss(self, fake: Any, training: Any = None) -> Any:
        """Returns the unweighted generator's loss; it trains only `fake`."""
        with frozen(self.discriminator):
            logits = self.discriminator(fake, training=training)
        return self._loss.generator(ops.cast(logits, "float32"))

    def _judge(self, real, fake, training):
        """Float32 logits of real images and of reconstructions."""
        return tuple(
            ops.cast(
                self.discriminator(
                    ops.stop_gradient(images), training=training
                ),
                "float32",
            )
            for images in (real, fake)
        )

    def _schedule(self):
        """How much of the generator's and the discriminator's loss counts."""
        step = ops.cast(self.step.value, "float32")
        generator = ops.cast(step >= self.start_step, "float32")
        if self.ramp_steps:
            ramp = (step - self.start_step + 1.0) / self.ramp_steps
            generator = ops.clip(ramp, 0.0, 1.0)
        start = self.discriminator_start_step
        start = self.start_step if start is None else start
        return generator, ops.cast(step >= start, "float32")

    def compute_output_shape(self, *args: Any, **kwargs: Any) -> Any:
        return AdversarialTerms(*[()] * len(AdversarialTerms._fields))


# What the sum of a slope's sizes is scaled to. A kernel's gradient is at most
# that times the largest feature, so that float16 holds it for features below
# 64; slopes that are even over 2^24 values are then 2^-14, which it holds too.
_SLOPE_SUM = 2.0**10


def _pull_back(head, kernel, slope):
    """Carries a gradient at the image back to the last kernel.

    The mean over replicas, so that all of them weigh alike.
    """
    # The optimizer's loss scale does not reach in here, and slopes of large
    # pictures are below what float16 holds.
    scale = _SLOPE_SUM / ops.maximum(ops.sum(ops.abs(slope)), 1e-20)
    _, gradient = value_and_gradient(
        lambda kernel: ops.sum(ops.cast(head(kernel), "float32") * slope),
        kernel,
        scale=scale,
    )
    return replicas.all_reduce_mean(gradient)
