"""PatchVQGAN: a local image tokenizer that is fast on a CPU.

Everything after the first reshape happens at the resolution of the codes,
where a 3x3 convolution is a large matrix product. Nothing looks further
than its convolutions reach and nothing knows where the border is, so a
shift of the image by one patch shifts the codes by one place.
"""

from typing import Any

import keras
from keras import ops

from keras_bidalle.image_tokenizers.blocks import (
    PACKAGE,
    PaddedConv2D,
    TokenizerLayer,
    shape_of_codes,
    shape_of_images,
)
from keras_bidalle.image_tokenizers.image_tokenizer import ImageTokenizer
from keras_bidalle.image_tokenizers.sizes import check_given
from keras_bidalle.validation import check_count, check_positive


@keras.saving.register_keras_serializable(package=PACKAGE)
class ChannelResidualBlock(TokenizerLayer):
    """RMS norm over channels, 3x3 convolution, swish, 1x1 convolution.

    The normalization has no statistics over space, so a place's result
    depends on its 3x3 neighborhood alone.
    """

    def __init__(self, channels, hidden_channels, **kwargs):
        super().__init__(**kwargs)
        self.channels = channels
        self.hidden_channels = hidden_channels
        self.norm = self.part(keras.layers.RMSNormalization)
        self.expand = self.part(
            PaddedConv2D, hidden_channels, 3, padding_mode="replication"
        )
        # Each block starts as the identity.
        self.project = self.part(
            keras.layers.Dense, channels, kernel_initializer="zeros"
        )

    def build(self, input_shape):
        self.norm.build(input_shape)
        self.expand.build(input_shape)
        self.project.build((*input_shape[:-1], self.hidden_channels))

    def call(self, x):
        return x + self.project(ops.silu(self.expand(self.norm(x))))


class PatchStack(TokenizerLayer):
    """A convolution in, residual blocks, and a projection out.

    A latent stands for a square of `patch_size` pixels a side; `channels` is
    the width, `hidden_channels` that inside the blocks.
    """

    kept_as = {"units": None}

    def __init__(
        self,
        units,
        *,
        patch_size,
        channels,
        hidden_channels,
        num_blocks,
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_positive(
            patch_size=patch_size,
            channels=channels,
            hidden_channels=hidden_channels,
        )
        check_count(num_blocks=num_blocks)
        self.patch_size = patch_size
        self.channels = channels
        self.hidden_channels = hidden_channels
        self.num_blocks = num_blocks
        self.conv_in = self.part(
            PaddedConv2D, channels, 3, padding_mode="replication"
        )
        self.blocks = [
            self.part(ChannelResidualBlock, channels, hidden_channels)
            for _ in range(num_blocks)
        ]
        self.norm_out = self.part(keras.layers.RMSNormalization)
        self.conv_out = self.part(keras.layers.Dense, units)

    def build_stack(self, input_channels):
        self.conv_in.build((None, None, None, input_channels))
        inner = (None, None, None, self.channels)
        for layer in [*self.blocks, self.norm_out, self.conv_out]:
            layer.build(inner)

    def features(self, x, training=None):
        """Everything but the projection: (B, h, w, channels)."""
        x = self.conv_in(x)
        for block in self.blocks:
            x = block(x)
        return self.norm_out(x)


@keras.saving.register_keras_serializable(package=PACKAGE)
class PatchEncoder(PatchStack):
    """From images to latents (B, H/p, W/p, latent_dim)."""

    def __init__(self, latent_dim, **kwargs):
        super().__init__(units=latent_dim, **kwargs)
        self.latent_dim = latent_dim

    @property
    def factor(self):
        return self.patch_size

    def build(self, input_shape):
        self.build_stack(self.patch_size**2 * input_shape[-1])

    def call(self, images, training=None):
        patches = ops.nn.space_to_depth(
            images, self.patch_size, data_format="channels_last"
        )
        return self.conv_out(self.features(patches, training=training))

    def compute_output_shape(self, input_shape):
        return shape_of_codes(input_shape, self.patch_size, self.latent_dim)


@keras.saving.register_keras_serializable(package=PACKAGE)
class PatchDecoder(PatchStack):
    """From latents back to float32 images (B, p * h, p * w, C)."""

    def __init__(self, output_channels=3, *, patch_size, **kwargs):
        units = patch_size**2 * output_channels
        super().__init__(units, patch_size=patch_size, **kwargs)
        self.output_channels = output_channels

    def build(self, input_shape):
        self.build_stack(input_shape[-1])

    def call(self, latents, training=None):
        return self.head(self.features(latents, training=training))

    def head(self, features):
        """The last layer: from features to float32 images."""
        patches = ops.cast(self.conv_out(features), "float32")
        return ops.nn.depth_to_space(
            patches, self.patch_size, data_format="channels_last"
        )

    def compute_output_shape(self, input_shape):
        return shape_of_images(
            input_shape, self.patch_size, self.output_channels
        )


@keras.saving.register_keras_serializable(package=PACKAGE)
class PatchVQGAN(ImageTokenizer):
    """A local, patch-based tokenizer, equivariant by construction.

    Space to depth by `patch_size`, 3x3 convolutions with replication
    padding, RMS normalization over channels, no attention, and pixel
    shuffle back. A shift of the image by a multiple of `patch_size`
    shifts the codes exactly, except for the `1 + num_blocks` places next to
    the border. It can be trained on small crops and used on larger images.

    Args:
        quantizer: a `keras_bidalle.quantizers.Quantizer`.
        image_shape: tuple (H, W, C) that `encode` takes.
        patch_size: int, pixels on a side of one code.
        channels: int, width of encoder and decoder.
        hidden_channels: int, width inside their residual blocks.
        num_blocks: int, residual blocks in each of the two.
        dtype: str or policy.

    Example:

    ```python
    tokenizer = PatchVQGAN(
        OrthogonalVectorQuantizer(num_codes=128, code_dim=32),
        image_shape=(64, 64, 3),
    )
    tokenizer.compile(keras.optimizers.AdamW(2e-3))
    tokenizer.fit(crops)                  # (B, 32, 32, 3) is fine
    codes = tokenizer.encode(pictures)    # (B, 16, 16) int32
    pictures = tokenizer.decode(codes)    # (B, 64, 64, 3) in [-1, 1]
    ```
    """

    def __init__(
        self,
        quantizer: Any,
        image_shape: Any = (64, 64, 3),
        patch_size: int = 4,
        channels: int = 64,
        hidden_channels: int = 96,
        num_blocks: int = 2,
        dtype: Any = None,
        name: Any = None,
        trainable: bool = True,
    ) -> None:
        check_given(quantizer, image_shape)
        stack = {
            "patch_size": patch_size,
            "channels": channels,
            "hidden_channels": hidden_channels,
            "num_blocks": num_blocks,
        }
        super().__init__(
            PatchEncoder(
                quantizer.input_dim, dtype=dtype, name="encoder", **stack
            ),
            quantizer,
            PatchDecoder(image_shape[-1], dtype=dtype, name="decoder", **stack),
            image_shape,
            dtype=dtype,
            name=name,
            trainable=trainable,
        )
        self._keep(**stack)
