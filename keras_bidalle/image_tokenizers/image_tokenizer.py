"""The contract of image tokenizers: images to codes, codes to images."""

import functools
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_bidalle import validation
from keras_bidalle.backend.compiled import compiled, in_batches
from keras_bidalle.image_tokenizers.blocks import PACKAGE, build_in_order
from keras_bidalle.image_tokenizers.exporting import Exporting, input_spec
from keras_bidalle.image_tokenizers.training import TokenizerTraining
from keras_bidalle.image_tokenizers.training_images import as_float_images
from keras_bidalle.presets import PresetMixin
from keras_bidalle.serving.mixin import ServingMixin

# In the order that an image passes them.
STAGES = ("encoder", "quant_conv", "quantizer", "post_quant_conv", "decoder")


@keras.saving.register_keras_serializable(package=PACKAGE)
class ImageTokenizer(
    TokenizerTraining, PresetMixin, ServingMixin, Exporting, keras.Model
):
    """Encoder, quantizer and decoder: the first stage of generation.

    A Keras model from images to their reconstruction, trained by plain
    `compile` and `fit` on images alone (see `compile`). It is fully
    convolutional, so it may be trained on crops smaller than `image_shape`,
    whose sides the encoder's factor divides. Images given to `fit`,
    `evaluate` and calls of the model may be uint8 or float in [-1, 1].

    Args:
        encoder: layer from images (B, H, W, C) to latents
            (B, H/f, W/f, D), with an integer attribute `factor`, the f.
        quantizer: a `keras_bidalle.quantizers.Quantizer` over D channels.
        decoder: layer from latents back to images, with the methods
            `features(latents, training)` and `head(features)` that it is
            made of, and the attribute `conv_out`, the last layer with
            weights (read by the adaptive weight of adversarial training).
        image_shape: tuple (H, W, C) of the images that `encode` takes.
        quant_conv: layer between encoder and quantizer, or `None`.
        post_quant_conv: layer between quantizer and decoder, or `None`.
        **kwargs: `name` and `dtype`, as of any Keras model. Layers given
            here have their own `dtype`.

    Attributes:
        code_shape: tuple (h, w), or (h, w, depth) with a residual
            quantizer, or (N,) with several levels: the shape of one
            image's codes.
        num_codes: int, the size of the codebook.

    Example:

    ```python
    tokenizer = keras_bidalle.image_tokenizers.PatchVQGAN(
        quantizer=OrthogonalVectorQuantizer(num_codes=128, code_dim=64),
        image_shape=(64, 64, 3),
    )
    tokenizer.compile(keras.optimizers.AdamW(2e-3))
    tokenizer.fit(images, batch_size=64)          # uint8 or [-1, 1]
    codes = tokenizer.encode(images)              # (B, 16, 16) int32
    pictures = tokenizer.decode(codes)            # (B, 64, 64, 3) in [-1, 1]
    ```
    """

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
        # Images stay float32 until a layer casts them.
        super().__init__(autocast=False, **kwargs)
        self.encoder = encoder
        self.quantizer = quantizer
        self.decoder = decoder
        self.quant_conv = quant_conv
        self.post_quant_conv = post_quant_conv
        self.image_shape = _checked_image_shape(image_shape, encoder.factor)
        self._argument_names = None
        # Not by a method `build`, after which Keras lets a model have no
        # more layers: `compile` brings the discriminator.
        with keras.name_scope(self.name, caller=self):
            build_in_order(self.stages, (None, *self.image_shape))
        self.built = True

    def _keep(self, **arguments):
        """Keeps what a subclass makes its encoder and decoder of.

        Its configuration has these, by their names, instead of the layers.
        """
        self._argument_names = tuple(arguments)
        for name, value in arguments.items():
            setattr(self, name, value)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return tuple(input_shape)

    @property
    def code_shape(self) -> Any:
        factor = self.encoder.factor
        grid = tuple(side // factor for side in self.image_shape[:2])
        depth = self.quantizer.code_depth
        return grid if depth is None else (*grid, depth)

    @property
    def num_codes(self) -> Any:
        return self.quantizer.num_codes

    def to_latents(self, images: Any, training: bool | None = None) -> Any:
        """Returns what the quantizer sees: latents (B, h, w, D).

        Args:
            images: float tensor (B, H, W, C) in [-1, 1].
            training: bool.
        """
        latents = self.encoder(images, training=training)
        return latents if self.quant_conv is None else self.quant_conv(latents)

    def from_quantized(self, quantized: Any) -> Any:
        """Returns what the decoder sees, given quantized latents."""
        if self.post_quant_conv is None:
            return quantized
        return self.post_quant_conv(quantized)

    def call(self, images: Any, training: Any = None) -> Any:
        images = as_float_images(images)
        latents = self.to_latents(images, training=training)
        quantized = self.quantizer(latents, training=training)
        decoded = self.from_quantized(quantized)
        return self._reconstruct(decoded, training=training)

    def encode(self, images: Any, batch_size: int = 64) -> Any:
        """Turns images into codes.

        Args:
            images: array (B, *image_shape), uint8 in [0, 255] or float in
                [-1, 1], of any number of images.
            batch_size: int, how many are processed at once.

        Returns:
            int32 NumPy array (B, *code_shape).

        Raises:
            ValueError: on a wrong shape or range.
            TypeError: on a wrong dtype.
        """
        if not hasattr(images, "dtype"):
            images = np.asarray(images)
        image_shape, code_shape = self._shapes_of_images(images.shape)
        if tuple(images.shape[1:]) != image_shape or images.ndim != 4:
            # Raises before any work is done.
            validation.as_model_images(images, image_shape)
        # Batch by batch: a data set of uint8 is never all in float32.
        return in_batches(
            self._encode,
            images,
            batch_size,
            lambda part: validation.as_model_images(part, image_shape),
            np.zeros((0, *code_shape), "int32"),
        )

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
            ValueError: on a wrong shape or a code outside the codebook.
            TypeError: on a dtype that is not an integer.
        """
        image_shape, code_shape = self._shapes_of_codes(np.shape(codes))
        depth = self.quantizer.code_depth
        if depth is not None and np.ndim(codes) == len(code_shape) + 1:
            part = min(max(np.shape(codes)[-1], 1), depth)
            code_shape = (*code_shape[:-1], part)
        codes = validation.as_codes(codes, code_shape, self.num_codes)
        return in_batches(
            self._decode,
            codes,
            batch_size,
            lambda part: part,
            np.zeros((0, *image_shape), "float32"),
        )

    def _shapes_of_images(self, shape):
        """Shapes of an image and its codes, given that of what came."""
        return self.image_shape, self.code_shape

    def _shapes_of_codes(self, shape):
        return self.image_shape, self.code_shape

    def reconstruct(
        self, images: Any, batch_size: int = 64, depth: Any = None
    ) -> Any:
        """Encodes images and decodes their codes.

        Args:
            images: as in `encode`.
            batch_size: int, how many are processed at once.
            depth: int or `None`. With a residual quantizer: of how many
                codes a position, by default all.

        Returns:
            float32 NumPy array (B, *image_shape) in [-1, 1].

        Raises:
            ValueError: when there are not `depth` codes a position.
        """
        if depth is not None and not 1 <= depth <= (
            self.quantizer.code_depth or 0
        ):
            raise ValueError(
                "`depth` must lie in [1, depth of a residual quantizer]. "
                f"Received: depth={depth} with a quantizer of "
                f"code_depth={self.quantizer.code_depth}"
            )
        codes = self.encode(images, batch_size=batch_size)
        if depth is not None:
            codes = codes[..., :depth]
        return self.decode(codes, batch_size=batch_size)

    def to_codes(self, images: Any) -> Any:
        """`encode` of tensors, for programs that compile or export it.

        Args:
            images: float32 tensor (B, H, W, C) in [-1, 1].

        Returns:
            int32 tensor (B, *code_shape).
        """
        latents = self.to_latents(images, training=False)
        return ops.cast(self.quantizer.encode(latents), "int32")

    def from_codes(self, codes: Any) -> Any:
        """`decode` of tensors, for programs that compile or export it.

        Args:
            codes: int32 tensor (B, *code_shape).

        Returns:
            float32 tensor (B, H, W, C) in [-1, 1].
        """
        decoded = self.from_quantized(self.quantizer.decode(codes))
        pictures = self.decoder(decoded, training=False)
        return ops.clip(ops.cast(pictures, "float32"), -1.0, 1.0)

    # Cached properties: compiled once for each model and kept, outside what
    # Keras tracks as the model's state.
    @functools.cached_property
    def _encode(self):
        return compiled(self.to_codes, self.stages)

    @functools.cached_property
    def _decode(self):
        return compiled(self.from_codes, self.stages)

    def _input_spec_for_export(self, batch):
        return input_spec("images", "float32", batch, self.image_shape)

    @property
    def stages(self) -> Any:
        """The layers between an image and its reconstruction, in order."""
        stages = [getattr(self, name) for name in STAGES]
        return [stage for stage in stages if stage is not None]

    def get_config(self) -> Any:
        names = STAGES if self._argument_names is None else ("quantizer",)
        config = {
            **super().get_config(),
            **{
                name: keras.saving.serialize_keras_object(getattr(self, name))
                for name in names
            },
            "image_shape": list(self.image_shape),
        }
        for name in self._argument_names or ():
            value = getattr(self, name)
            config[name] = list(value) if isinstance(value, tuple) else value
        return config

    @classmethod
    def from_config(cls, config: Any) -> Any:
        config = dict(config)
        for name in STAGES:
            if isinstance(config.get(name), dict):
                config[name] = keras.saving.deserialize_keras_object(
                    config[name]
                )
        return cls(**config)


def _checked_image_shape(image_shape, factor):
    image_shape = tuple(int(side) for side in image_shape)
    if len(image_shape) != 3 or any(
        side < 1 or side % factor for side in image_shape[:2]
    ):
        raise ValueError(
            f"`image_shape` must be (height, width, channels) with sides "
            f"that are multiples of {factor}. "
            f"Received: image_shape={image_shape}"
        )
    return image_shape
