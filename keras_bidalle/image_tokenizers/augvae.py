"""AugVAE: the image tokenizer of L-Verse, on several levels and on one."""

import dataclasses
import functools
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_bidalle.backend.convolution import Conv2D
from keras_bidalle.image_tokenizers.augvae_layers import (
    LastLevelEncoder,
    LevelProjection,
    MultiLevelDecoder,
    MultiLevelEncoder,
    SingleLevelDecoder,
)
from keras_bidalle.image_tokenizers.augvae_levels import Levels, takes_levels
from keras_bidalle.image_tokenizers.blocks import PACKAGE
from keras_bidalle.image_tokenizers.image_tokenizer import ImageTokenizer
from keras_bidalle.image_tokenizers.sizes import check_given
from keras_bidalle.quantizers import LastLevelQuantizer, MultiLevelQuantizer
from keras_bidalle.validation import check_flag, is_integer, refused


class _AugVAE(ImageTokenizer):
    """What both have in common: the arguments of their levels."""

    kept_as = {"quantizer": "codebook"}

    @property
    def codebook(self):
        """The quantizer that was given, with the codebook."""
        if isinstance(self.quantizer, MultiLevelQuantizer):
            return self.quantizer.quantizer
        return self.quantizer


def _arguments(levels):
    arguments = dataclasses.asdict(levels)
    del arguments["resolution"]
    return arguments


def _over_levels(kind, quantizer, levels, image_shape):
    """The quantizer of several levels around that of their codebook."""
    # A side too small for a level is reported by `ImageTokenizer`.
    grids = [
        tuple(max(side // factor, 1) for side in image_shape[:2])
        for factor in levels.factors
    ]
    return kind(quantizer, grids, dtype=quantizer.dtype_policy)


@keras.saving.register_keras_serializable(package=PACKAGE)
class AugVAE(_AugVAE):
    """The multi-level tokenizer, whose levels share one codebook.

    Each encoder goes on from the one before it, and the latents of each
    are quantized; decoders go from coarse to fine, each with its level's
    code vectors beside what the one before it made. One codebook so sees
    coarse and fine features alike. The code of an image is a sequence of
    the codes of all levels, fine to coarse.

    It is trained first, and then made into the tokenizer of a generator by
    `to_single_level` and further training. The defaults are those published
    for 256x256 images; the published loss is
    `compile(reconstruction_loss="l2", perceptual=LPIPS(),
    perceptual_weight=0.1)`.

    Args:
        quantizer: a `VectorQuantizer`, `OrthogonalVectorQuantizer` or
            `EMAVectorQuantizer`, published as
            `EMAVectorQuantizer(8192, 256, kmeans_steps=0,
            revival_share=0)`.
        image_shape: tuple (H, W, C).
        name, trainable, dtype: as of any Keras model.
        **levels: as in `Levels`, with their defaults: `num_levels=4`,
            `channels=128`, `channel_multipliers=(1, 2, 4)`,
            `next_channel_multipliers=(2, 4)`, `num_res_blocks=2`,
            `attention=False`, `dropout=0.0` and `z_channels=256`.

    Attributes:
        code_shape: tuple (N,), the length of an image's sequence.
        level_shapes: tuple of (rows, columns), fine to coarse.

    Example:

    ```python
    tokenizer = AugVAE(EMAVectorQuantizer(8192, 256))
    tokenizer.compile("adam", reconstruction_loss="l2")
    tokenizer.fit(images)
    codes = tokenizer.encode(images)              # (B, 5440) int32
    fine, *_ = tokenizer.split_levels(codes)      # (B, 64, 64)
    single = tokenizer.to_single_level(level=1)   # then compile and fit
    single.encode(images)                         # (B, 32, 32)
    ```

    Reference:
        Kim et al., "L-Verse: Bidirectional Generation Between Image and
        Text", 2022, section 3.1 (arXiv:2111.11133).
    """

    any_size = False  # A sequence does not say what its grids are.

    @takes_levels
    def __init__(
        self,
        quantizer: Any,
        image_shape: Any = (256, 256, 3),
        *,
        name: Any = None,
        trainable: bool = True,
        dtype: Any = None,
        **levels: Any,
    ) -> None:
        check_given(quantizer, image_shape)
        sizes = Levels(resolution=image_shape[0], **levels)
        shared = {**dataclasses.asdict(sizes), "dtype": dtype}
        super().__init__(
            MultiLevelEncoder(name="encoder", **shared),
            _over_levels(MultiLevelQuantizer, quantizer, sizes, image_shape),
            MultiLevelDecoder(
                output_channels=image_shape[-1], name="decoder", **shared
            ),
            image_shape,
            quant_conv=LevelProjection(
                quantizer.input_dim, dtype=dtype, name="quant_conv"
            ),
            post_quant_conv=LevelProjection(
                sizes.z_channels, dtype=dtype, name="post_quant_conv"
            ),
            name=name,
            trainable=trainable,
            dtype=dtype,
        )
        self._keep(**_arguments(sizes))

    @property
    def code_shape(self) -> Any:
        return (self.quantizer.sequence_length,)

    @property
    def level_shapes(self) -> Any:
        return self.quantizer.grids

    def split_levels(self, codes: Any) -> Any:
        """Splits int sequences of codes (B, N) into levels.

        Returns:
            List of int32 NumPy arrays (B, rows, columns), fine to coarse.
        """
        return [
            np.asarray(ops.convert_to_numpy(level))
            for level in self.quantizer.split(codes)
        ]

    def join_levels(self, levels: Any) -> Any:
        """Joins the codes of all levels, the inverse of `split_levels`."""
        return np.asarray(ops.convert_to_numpy(self.quantizer.join(levels)))

    def to_single_level(self, level: int = 1) -> Any:
        """Makes a tokenizer of one level from this one's weights.

        It has this one's encoders up to that level, its codebook, and the
        decoders from that level on. The connectors that stand where those
        took two inputs start by passing on the one that there still is, with
        zeros in the other's place.

        Args:
            level: int, from 0, the finest.

        Returns:
            A `SingleLevelAugVAE` that shares no weights with this one, to
            be trained further. Its codes have shape
            (B, *level_shapes[level]).

        Raises:
            ValueError: if there is no such level.
        """
        count = len(self.level_shapes)
        if not is_integer(level) or not 0 <= level < count:
            raise refused(f"be an integer in [0, {count})", level=level)
        codebook = self.codebook
        is_coarsest = level == count - 1
        single = SingleLevelAugVAE(
            type(codebook).from_config(codebook.get_config()),
            image_shape=self.image_shape,
            dtype=self.dtype_policy,
            first_connector=not is_coarsest,
            **{**_arguments(self.encoder.levels), "num_levels": level + 1},
        )
        single.quantizer.set_weights(codebook.get_weights())
        for mine, its in (
            (self.encoder.encoders[: level + 1], single.encoder.encoders),
            (self.decoder.decoders[-level - 1 :], single.decoder.decoders),
        ):
            for source, target in zip(mine, its, strict=True):
                target.set_weights(source.get_weights())
        for mine, its in (
            (self.quant_conv, single.quant_conv),
            (self.post_quant_conv, single.post_quant_conv),
        ):
            its.kernel.assign(mine.kernel.value[None, None])
            its.bias.assign(mine.bias.value[level])
        for number, connector in enumerate(single.decoder.connectors):
            passed = np.eye(self.z_channels)
            halves = [passed, np.zeros_like(passed)]
            # A decoder's first input is its level, its second what the
            # decoder before it made.
            if number > 0 or is_coarsest:
                halves.reverse()
            connector.kernel.assign(np.concatenate(halves, axis=1)[None, None])
            connector.bias.assign(np.zeros(connector.bias.shape))
        return single


@keras.saving.register_keras_serializable(package=PACKAGE)
class SingleLevelAugVAE(_AugVAE):
    """The tokenizer of one level of an `AugVAE`, made by `to_single_level`.

    See `AugVAE` for the paper.

    Args:
        quantizer: a `keras_bidalle.quantizers.Quantizer`.
        image_shape: tuple (H, W, C).
        num_levels: int, of how many encoders it has: those of the levels up
            to its own.
        first_connector: bool, whether the first decoder took two inputs in
            the `AugVAE`, as all but that of its coarsest level did.
        quantize_finer_levels: bool, whether training also quantizes what
            the finer encoders give, as the published program does: no
            image is made of it, but its commitment loss is added and the
            codebook follows it too.
        name, trainable, dtype, **levels: as in `AugVAE`.

    Example:

    ```python
    single = multi_level.to_single_level(level=1)
    single.compile("adam", reconstruction_loss="l2")
    single.fit(images)
    ```
    """

    @takes_levels
    def __init__(
        self,
        quantizer: Any,
        image_shape: Any = (256, 256, 3),
        *,
        num_levels: int = 2,
        first_connector: bool = True,
        quantize_finer_levels: bool = False,
        name: Any = None,
        trainable: bool = True,
        dtype: Any = None,
        **levels: Any,
    ) -> None:
        check_given(quantizer, image_shape)
        sizes = Levels(
            resolution=image_shape[0], num_levels=num_levels, **levels
        )
        check_flag(
            first_connector=first_connector,
            quantize_finer_levels=quantize_finer_levels,
        )
        shared = {**dataclasses.asdict(sizes), "dtype": dtype}
        if quantize_finer_levels:
            encoder = MultiLevelEncoder(name="encoder", **shared)
            quant_conv: Any = LevelProjection
            stage = _over_levels(
                LastLevelQuantizer, quantizer, sizes, image_shape
            )
        else:
            encoder = LastLevelEncoder(name="encoder", **shared)
            quant_conv = functools.partial(Conv2D, kernel_size=1)
            stage = quantizer
        super().__init__(
            encoder,
            stage,
            SingleLevelDecoder(
                output_channels=image_shape[-1],
                first_connector=first_connector,
                name="decoder",
                **shared,
            ),
            image_shape,
            quant_conv=quant_conv(
                quantizer.input_dim, dtype=dtype, name="quant_conv"
            ),
            post_quant_conv=Conv2D(
                sizes.z_channels, 1, dtype=dtype, name="post_quant_conv"
            ),
            name=name,
            trainable=trainable,
            dtype=dtype,
        )
        self._keep(
            **_arguments(sizes),
            first_connector=first_connector,
            quantize_finer_levels=quantize_finer_levels,
        )
