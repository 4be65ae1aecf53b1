"""One code, or one stack of codes, for a square of latents."""

from typing import Any

import keras
from keras import ops

from keras_bidalle.messages import shown
from keras_bidalle.quantizers.multi_level_quantizer import MultiLevelQuantizer
from keras_bidalle.quantizers.quantizer import Quantizer, freeze_parts
from keras_bidalle.validation import check_positive


@keras.saving.register_keras_serializable(package="keras_bidalle")
class LatentPatchQuantizer(Quantizer):
    """Quantizes the latents of each square of a map together.

    A square of `patch_size` latents a side becomes one vector, row by row,
    which `quantizer` sees. The grid of codes is that much smaller.

    Args:
        quantizer: a `Quantizer` of vectors of `patch_size**2` latents (any
            of this library but `MultiLevelQuantizer`).
        patch_size: int, how many latents a square has a side.

    Call arguments:
        z: float tensor (B, h, w, C), the latents; `patch_size` divides h and
            w, and C is that part of the quantizer's channels.
        training: bool or `None`.

    Returns:
        Tensor (B, h, w, C).

    Raises:
        ValueError: if `patch_size` is none, its square does not divide the
            quantizer's channels, or it does not divide the sides of a map.

    Example:

    ```python
    quantizer = keras_bidalle.quantizers.LatentPatchQuantizer(
        keras_bidalle.quantizers.VectorQuantizer(512, 64), patch_size=2
    )
    codes = quantizer.encode(keras.random.normal((2, 8, 8, 16)))
    codes.shape  # (2, 4, 4)
    ```

    Reference:
        RQ-Transformer's program, whose `code_shape` may be a part of its
        `latent_shape` (arXiv:2203.01941).
    """

    kept_as = {"num_codes": None, "code_dim": None}

    def __init__(self, quantizer: Quantizer, patch_size: int, **kwargs: Any):
        if not isinstance(quantizer, Quantizer) or isinstance(
            quantizer, (MultiLevelQuantizer, LatentPatchQuantizer)
        ):
            raise ValueError(
                "`quantizer` must be a Quantizer of one map of latents. "
                f"Received: {shown(quantizer)}"
            )
        check_positive(patch_size=patch_size)
        latents = patch_size**2
        if quantizer.input_dim % latents or quantizer.output_dim % latents:
            raise ValueError(
                "`patch_size` must have a square that divides the "
                f"quantizer's channels, {quantizer.input_dim}. "
                f"Received: patch_size={patch_size}"
            )
        super().__init__(quantizer.num_codes, quantizer.code_dim, **kwargs)
        self.input_dim = quantizer.input_dim // latents
        self.output_dim = quantizer.output_dim // latents
        self.code_depth = quantizer.code_depth
        self.patch_size = patch_size
        self.quantizer = quantizer
        quantizer.keeps_metrics = False
        freeze_parts(self, [quantizer])

    @property
    def counts_shape(self) -> Any:
        return self.quantizer.counts_shape

    @property
    def counted_codes(self) -> Any:
        return self.quantizer.counted_codes

    @property
    def codebook_sizes(self) -> Any:
        return self.quantizer.codebook_sizes

    def build(self, input_shape: Any) -> Any:
        super().build(input_shape)
        if not self.quantizer.built:
            self.quantizer.build((None, None, None, self.quantizer.input_dim))

    def to_patches(self, z: Any) -> Any:
        """Latents (B, h p, w p, C) as vectors of squares (B, h, w, p p C)."""
        p, channels = self.patch_size, z.shape[-1]
        if len(z.shape) != 4 or any(side and side % p for side in z.shape[1:3]):
            raise ValueError(
                "LatentPatchQuantizer expects latents (batch, height, width, "
                f"{channels}) with sides that are multiples of `patch_size`="
                f"{p}. Received: shape={tuple(z.shape)}"
            )
        _, rows, columns, _ = ops.shape(z)
        rows, columns = rows // p, columns // p
        z = ops.reshape(z, (-1, rows, p, columns, p, channels))
        z = ops.transpose(z, (0, 1, 3, 2, 4, 5))
        return ops.reshape(z, (-1, rows, columns, p * p * channels))

    def from_patches(self, patches: Any) -> Any:
        """What `to_patches` was given."""
        p, channels = self.patch_size, patches.shape[-1] // self.patch_size**2
        _, rows, columns, _ = ops.shape(patches)
        z = ops.reshape(patches, (-1, rows, columns, p, p, channels))
        z = ops.transpose(z, (0, 1, 3, 2, 4, 5))
        return ops.reshape(z, (-1, rows * p, columns * p, channels))

    def apply_codebook(self, z: Any, training: Any = None) -> Any:
        patches, codes = self.quantizer.apply_codebook(
            self.to_patches(z), training=training
        )
        return self.from_patches(patches), codes

    def count(self, codes: Any) -> Any:
        return self.quantizer.count(codes)

    def encode(self, z: Any) -> Any:
        self.ensure_built()
        return self.quantizer.encode(self.to_patches(self.as_latents(z)))

    def decode(self, codes: Any) -> Any:
        self.ensure_built()
        return self.from_patches(self.quantizer.decode(codes))
