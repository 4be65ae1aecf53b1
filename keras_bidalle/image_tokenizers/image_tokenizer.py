"""The contract of image tokenizers: images to codes, codes to images."""

import functools
import warnings
from typing import Any, ClassVar

import keras
import numpy as np
from keras import ops

from keras_bidalle import validation
from keras_bidalle.arguments import Configured
from keras_bidalle.backend.compiled import compiled, in_batches
from keras_bidalle.backend.optimizers import compile_arguments, synchronized
from keras_bidalle.image_tokenizers import objective, sizes
from keras_bidalle.image_tokenizers.blocks import PACKAGE, build_in_order
from keras_bidalle.image_tokenizers.exporting import Exporting, input_spec
from keras_bidalle.image_tokenizers.training_images import (
    ImageChecks,
    as_float_images,
)
from keras_bidalle.own_loss import OwnLoss
from keras_bidalle.presets import PresetMixin
from keras_bidalle.quantizers.quantizer import freeze_parts
from keras_bidalle.serving.mixin import ServingMixin

STAGES = ("encoder", "quant_conv", "quantizer", "post_quant_conv", "decoder")


@keras.saving.register_keras_serializable(package=PACKAGE)
class ImageTokenizer(
    Configured, OwnLoss, PresetMixin, ServingMixin, Exporting, keras.Model
):
    """Encoder, quantizer and decoder: the first stage of generation.

    A Keras model from images to their reconstruction, trained by plain
    `compile` and `fit` on images alone, uint8 or float in [-1, 1]. It is
    fully convolutional, so it may be trained on crops whose sides the
    encoder's factor divides. `PatchVQGAN` has an example.

    Args:
        encoder: layer from images (B, H, W, C) to latents
            (B, H/f, W/f, D), with an integer attribute `factor`, the f.
        quantizer: a `keras_bidalle.quantizers.Quantizer` over D channels.
        decoder: layer from latents back to images, with the methods
            `features(latents, training)` and `head(features)` that it is
            made of, and the attribute `conv_out`, the last layer with
            weights (for adversarial training).
        image_shape: tuple (H, W, C) of the images that `encode` takes.
        quant_conv: layer between encoder and quantizer, or `None`.
        post_quant_conv: layer between quantizer and decoder, or `None`.
        **kwargs: `name` and `dtype`, as of any Keras model.

    Attributes:
        code_shape: tuple, the shape of an image's codes: (h, w), (h, w,
            depth) of a residual quantizer, or (N,) of several levels.
        num_codes: int, the size of the codebook.
    """

    any_size: ClassVar[bool] = True  # taken by `encode` and `decode`
    ignores_targets = True  # which are the images

    def __init__(
        self,
        encoder: Any,
        quantizer: Any,
        decoder: Any,
        image_shape: Any,
        quant_conv: Any = None,
        post_quant_conv: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(autocast=False, **kwargs)  # layers cast images
        self.encoder = encoder
        self.quantizer = quantizer
        self.decoder = decoder
        self.quant_conv = quant_conv
        self.post_quant_conv = post_quant_conv
        self.image_shape = sizes.checked(image_shape, self.factor)
        self.adversarial: Any = None
        self._objective: Any = None
        self._compile_arguments: Any = dict
        self._checks = ImageChecks(self.factor, self.image_shape[-1])
        # A method `build` would let the model have no more layers.
        with keras.name_scope(self.name, caller=self):
            build_in_order(self.stages, (None, *self.image_shape))
        self.built = True
        freeze_parts(self, self.stages)

    def _keep(self, **arguments):
        for name, value in arguments.items():
            setattr(self, name, value)

    @property
    def _sizes(self):
        factor = self.factor if self.any_size else None
        return sizes.Sizes(self.image_shape, self.code_shape, factor)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return tuple(input_shape)

    @property
    def factor(self) -> Any:
        """How many pixels a side one code, or one stack, stands for."""
        return self.encoder.factor * self.quantizer.patch_size

    @property
    def code_shape(self) -> Any:
        grid = (side // self.factor for side in self.image_shape[:2])
        depth = self.quantizer.code_depth
        return (*grid, *([] if depth is None else [depth]))

    @property
    def num_codes(self) -> Any:
        return self.quantizer.num_codes

    @property
    def stages(self) -> Any:
        """The layers between an image and its reconstruction, in order."""
        stages = (getattr(self, name) for name in STAGES)
        return [stage for stage in stages if stage is not None]

    def compile(  # type: ignore[override]
        self,
        optimizer: Any = "adam",
        reconstruction_loss: Any = "l1",
        perceptual: Any = None,
        perceptual_weight: float = 1.0,
        adversarial: Any = None,
        discriminator_optimizer: Any = None,
        **kwargs: Any,
    ) -> None:
        """Says how `fit` trains the tokenizer.

        The loss is the reconstruction loss, plus `perceptual_weight` times
        the perceptual one, plus what the quantizer adds, plus the terms of
        both adversarial players (Esser et al., 2021, arXiv:2012.09841,
        section 3.1).

        Args:
            optimizer: str or `keras.optimizers.Optimizer`.
            reconstruction_loss: `"l1"`, `"l2"`, a dict of weights such as
                `{"l2": 1.0, "l1": 0.2}`, or a callable of real and
                reconstructed images (B, H, W, C).
            perceptual: None or a callable of real and reconstructed
                images to losses, such as `keras_bidalle.losses.LPIPS`. It is
                not trained or saved.
            perceptual_weight: float.
            adversarial: None or a `keras_bidalle.losses.AdversarialLoss`.
            discriminator_optimizer: optimizer of the discriminator; by
                default another one with the settings of `optimizer`.
            **kwargs: `run_eagerly`, `steps_per_execution`, `jit_compile`.
        """
        validation.check_own_loss(**kwargs)
        objective.check_players(adversarial, discriminator_optimizer)
        optimizer = keras.optimizers.get(optimizer)
        losses = {
            "reconstruction_loss": reconstruction_loss,
            "perceptual": perceptual,
            "perceptual_weight": perceptual_weight,
            "adversarial": adversarial,
        }
        self._objective = objective.Objective(self.decoder, **losses)
        if adversarial is not None and not adversarial.built:
            adversarial.build((None, *self.image_shape))
        self.adversarial = adversarial
        self._trackers = {
            name: keras.metrics.Mean(name=name)
            for name in self._objective.names
        }
        optimizers = {
            "optimizer": optimizer,
            "discriminator_optimizer": discriminator_optimizer,
        }
        players = objective.optimizer_of_players(adversarial, **optimizers)
        super().compile(optimizer=players, **compile_arguments(kwargs))
        synchronized(self.optimizer)
        # Now, so that a checkpoint finds the optimizers' state to restore.
        self.optimizer.build(self.trainable_variables)
        self._compile_arguments = lambda: {**optimizers, **losses, **kwargs}

    def get_compile_config(self) -> Any:
        return keras.saving.serialize_keras_object(self._compile_arguments())

    def compile_from_config(self, config: Any) -> None:
        try:
            arguments = keras.saving.deserialize_keras_object(config)
        except FileNotFoundError as error:
            self.optimizer: Any = None  # Keras looks for it from here on.
            warnings.warn(f"To train, compile again: {error}", stacklevel=2)
        else:
            self.compile(**arguments)

    def fit(self, x: Any = None, *args: Any, **kwargs: Any) -> Any:
        """As `keras.Model.fit`, on images alone.

        Args:
            x: images (B, H, W, C), uint8 in [0, 255] or float in [-1, 1],
                or any stream of batches of such that `keras.Model.fit` takes
                (of which the first few are checked). The encoder's factor
                divides their sides.
            **kwargs: as in `keras.Model.fit`; `validation_data` is like `x`.

        Raises:
            ValueError, TypeError: on a wrong shape, range or dtype.
        """
        validation.check_own_loss(**{**kwargs, "y": None})
        return self._checks.run(super().fit, x, *args, **kwargs)

    def evaluate(self, x: Any = None, *args: Any, **kwargs: Any) -> Any:
        """As `keras.Model.evaluate`, on images as `fit` takes them."""
        return self._checks.run(super().evaluate, x, *args, **kwargs)

    def predict(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        """As `keras.Model.predict`, on images as `fit` takes them."""
        return self._checks.run(super().predict, x, *args, **kwargs)

    def own_loss(self, x: Any, y_pred: Any, training: bool) -> Any:
        """The objective's terms of both players, and the quantizer's."""
        if self._objective is None:
            raise ValueError("Call `compile` before `fit` or `evaluate`.")
        quantizer_loss = sum(self.losses, ops.zeros((), "float32"))
        total, values = self._objective(
            as_float_images(x), ops.cast(y_pred, "float32"), training
        )
        values["quantizer_loss"] = quantizer_loss
        for name, value in values.items():
            self._trackers[name].update_state(ops.stop_gradient(value))
        self.quantizer.update_metrics()
        return total + quantizer_loss

    def to_latents(self, images: Any, training: bool | None = None) -> Any:
        """What the quantizer sees, (B, h, w, D), of float images in [-1, 1]."""
        latents = self.encoder(images, training=training)
        return latents if self.quant_conv is None else self.quant_conv(latents)

    def from_quantized(self, quantized: Any) -> Any:
        """What the decoder sees, given quantized latents."""
        conv = self.post_quant_conv
        return quantized if conv is None else conv(quantized)

    def call(self, images: Any, training: Any = None) -> Any:
        self._checks.check_call(images)
        latents = self.to_latents(as_float_images(images), training=training)
        quantized = self.quantizer(latents, training=training)
        decoded = self.from_quantized(quantized)
        if self._objective is None or not self._objective.reads_features:
            return self.decoder(decoded, training=training)
        features = self.decoder.features(decoded, training=training)
        if training is not None:
            self._objective.keep(features)
        return self.decoder.head(features)

    def encode(self, images: Any, batch_size: int = 64) -> Any:
        """Turns images into codes.

        Args:
            images: array (B, *image_shape), uint8 in [0, 255] or float in
                [-1, 1].
            batch_size: int, how many are processed at once.

        Returns:
            int32 NumPy array (B, *code_shape).

        Raises:
            ValueError, TypeError: on a wrong shape, range or dtype.
        """
        if not hasattr(images, "dtype"):
            images = np.asarray(images)
        image_shape, code_shape = self._sizes.of_images(images.shape)
        if tuple(images.shape[1:]) != image_shape or images.ndim != 4:
            # Raises before any work is done.
            validation.as_model_images(images, image_shape)
        # Batch by batch: a data set of uint8 is never all in float32.
        prepared = functools.partial(
            validation.as_model_images, image_shape=image_shape
        )
        empty = np.zeros((0, *code_shape), "int32")
        return in_batches(self._encode, images, batch_size, prepared, empty)

    def decode(self, codes: Any, batch_size: int = 64) -> Any:
        """Turns codes into images.

        Args:
            codes: int array (B, *code_shape) with values in [0, num_codes).
                With a residual quantizer the first few codes of each stack
                will do, (B, h, w, d): a coarser image.
            batch_size: int, how many are processed at once.

        Returns:
            float32 NumPy array (B, *image_shape) in [-1, 1].

        Raises:
            ValueError, TypeError: on a wrong shape, code or dtype.
        """
        image_shape, code_shape = self._sizes.of_codes(np.shape(codes))
        codes = validation.as_codes(
            codes, code_shape, self.quantizer.codebook_sizes
        )
        empty = np.zeros((0, *image_shape), "float32")
        return in_batches(self._decode, codes, batch_size, lambda x: x, empty)

    def reconstruct(
        self, images: Any, batch_size: int = 64, depth: Any = None
    ) -> Any:
        """Encodes images and decodes their codes.

        Args:
            images, batch_size: as in `encode`.
            depth: int or `None`. With a residual quantizer: of how many
                codes a position, by default all.

        Returns:
            float32 NumPy array (B, *image_shape) in [-1, 1].

        Raises:
            ValueError: when there are not `depth` codes a position.
        """
        sizes.check_depth(depth, self.quantizer.code_depth)
        codes = self.encode(images, batch_size=batch_size)
        if depth is not None:
            codes = codes[..., :depth]
        return self.decode(codes, batch_size=batch_size)

    def to_codes(self, images: Any) -> Any:
        """`encode` of a float32 tensor in [-1, 1], for compiled programs."""
        latents = self.to_latents(images, training=False)
        return ops.cast(self.quantizer.encode(latents), "int32")

    def from_codes(self, codes: Any) -> Any:
        """`decode` of an int32 tensor, for compiled programs."""
        decoded = self.from_quantized(self.quantizer.decode(codes))
        pictures = self.decoder(decoded, training=False)
        return ops.clip(ops.cast(pictures, "float32"), -1.0, 1.0)

    # Cached properties: compiled once for each model and kept, outside what
    # Keras tracks as the model's state.
    @functools.cached_property
    def _encode(self):
        return compiled(self.to_codes, [self])

    @functools.cached_property
    def _decode(self):
        return compiled(self.from_codes, [self])

    def _input_spec_for_export(self, batch):
        return input_spec("images", "float32", batch, self.image_shape)
