"""One codebook for latents of several resolutions."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_bidalle.messages import shown
from keras_bidalle.quantizers.quantizer import Quantizer, freeze_parts
from keras_bidalle.validation import as_integers


@keras.saving.register_keras_serializable(package="keras_bidalle")
class MultiLevelQuantizer(Quantizer):
    """Quantizes the maps of several levels with one codebook.

    Each level has a loss of its own, a mean over its places. A codebook that
    is an average moves once for each level, and starts from, and is revived
    with, the latents of all levels together.

    Args:
        quantizer: a `Quantizer` with one code a position (any of this
            library but `ResidualQuantizer`), which all levels use.
        grids: sequence of (rows, columns), one for each level, fine to
            coarse: how a sequence of codes is made of the levels.

    Call arguments:
        z: tuple of float tensors (B, h, w, C), one for each level, fine to
            coarse; their sizes need not be those of `grids`.
        training: bool or `None`.

    Returns:
        Tuple of tensors (B, h, w, C), as `quantizer` gives them.

    Raises:
        ValueError: if `quantizer` has several codes a position, or `grids`
            are no sizes.

    Reference:
        Kim et al., "L-Verse: Bidirectional Generation Between Image and
        Text", 2022, section 3.1 (arXiv:2111.11133).
    """

    kept_as = {"num_codes": None, "code_dim": None}

    def __init__(
        self,
        quantizer: Quantizer,
        grids: Sequence[Sequence[int]],
        **kwargs: Any,
    ) -> None:
        if (
            not isinstance(quantizer, Quantizer)
            or isinstance(quantizer, MultiLevelQuantizer)
            or quantizer.code_depth is not None
        ):
            raise ValueError(
                "`quantizer` must be a Quantizer of one map of latents, with "
                f"one code a position. Received: {shown(quantizer)}"
            )
        super().__init__(quantizer.num_codes, quantizer.code_dim, **kwargs)
        self.input_dim = quantizer.input_dim
        grids = tuple(as_integers(grids=grid) for grid in grids)
        if not grids or any(len(grid) != 2 for grid in grids):
            raise ValueError(
                "`grids` must be a sequence of (rows, columns), one for each "
                f"level. Received: grids={shown(grids)}"
            )
        self.quantizer = quantizer
        self.grids = grids
        quantizer.keeps_metrics = False
        freeze_parts(self, [quantizer])

    @property
    def sequence_length(self) -> Any:
        """How many codes all levels have together."""
        return sum(rows * columns for rows, columns in self.grids)

    def build(self, input_shape: Any) -> Any:
        for shape in input_shape:
            self.check_channels(shape)
        super().build(input_shape[0])
        if not self.quantizer.built:
            self.quantizer.build(input_shape[0])

    def ensure_built(self) -> Any:
        if not self.built:
            self.build([(None, None, None, self.input_dim)])

    def call(self, z: Any, training: bool | None = None) -> Any:
        levels = [self.as_latents(level) for level in z]
        quantized = self.apply_and_record(levels, levels, training)
        return tuple(ops.cast(level, self.compute_dtype) for level in quantized)

    def apply_codebook(self, z: Any, training: Any = None) -> Any:
        levels, codes = self.quantizer.apply_to_levels(z, training=training)
        codes = [ops.reshape(level, (-1,)) for level in codes]
        return levels, ops.concatenate(codes)

    def encode(self, z: Any) -> Any:
        """Gives the codes of all levels as one sequence.

        Args:
            z: tuple of float tensors (B, h, w, C), of the sizes `grids`.

        Returns:
            int32 tensor (B, N), the levels fine to coarse, each row by row.
        """
        return self.join([self.quantizer.encode(level) for level in z])

    def decode(self, codes: Any) -> Any:
        """Gives the code vectors (B, h, w, C) of each level's codes."""
        return tuple(self.quantizer.decode(part) for part in self.split(codes))

    def split(self, codes: Any) -> Any:
        """Splits a sequence of codes (B, N) into levels.

        Returns:
            List of int32 tensors (B, h, w), fine to coarse.

        Raises:
            ValueError: if there are not as many codes as places.
        """
        codes = self.as_codes(codes)
        if len(codes.shape) != 2 or codes.shape[-1] != self.sequence_length:
            raise ValueError(
                "`codes` must have shape (batch, "
                f"{self.sequence_length}). Received: "
                f"shape={tuple(codes.shape)}"
            )
        levels, start = [], 0
        for rows, columns in self.grids:
            part = codes[:, start : start + rows * columns]
            levels.append(ops.reshape(part, (-1, rows, columns)))
            start += rows * columns
        return levels

    def join(self, levels: Any) -> Any:
        """Joins the codes (B, h, w) of all levels to a sequence (B, N).

        Raises:
            ValueError: if they are not of the sizes `grids`.
        """
        levels = [self.as_codes(level) for level in levels]
        grids = tuple(tuple(level.shape[1:]) for level in levels)
        if grids != self.grids:
            raise ValueError(
                "`levels` must have one map of codes for each of the sizes "
                f"{self.grids}. Received: {grids}"
            )
        return ops.concatenate(
            [
                ops.reshape(level, (-1, rows * columns))
                for level, (rows, columns) in zip(levels, grids, strict=True)
            ],
            axis=1,
        )

    def compute_output_shape(self, input_shape: Any) -> Any:
        width = self.quantizer.output_dim
        return tuple((*shape[:-1], width) for shape in input_shape)


@keras.saving.register_keras_serializable(package="keras_bidalle")
class LastLevelQuantizer(MultiLevelQuantizer):
    """Quantizes the maps of several levels and gives on the last alone.

    The losses, the averages and the metrics are those of all levels; the
    codes are the last level's. So the published AugVAE is fine-tuned on one
    level.

    Arguments and call arguments are those of `MultiLevelQuantizer`; the
    result is the tensor (B, h, w, C) of the last level.
    """

    def call(self, z: Any, training: bool | None = None) -> Any:
        return super().call(z, training=training)[-1]

    def encode(self, z: Any) -> Any:
        return self.quantizer.encode(z[-1])

    def decode(self, codes: Any) -> Any:
        return self.quantizer.decode(codes)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return super().compute_output_shape(input_shape)[-1]
