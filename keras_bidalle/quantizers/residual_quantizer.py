"""Residual quantization: several codes a position, each refining the sum."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_bidalle import named
from keras_bidalle.messages import shown
from keras_bidalle.quantizers.gradient_estimators import (
    ESTIMATORS,
    GradientEstimator,
)
from keras_bidalle.quantizers.hard_quantizer import HardQuantizer, mean_square
from keras_bidalle.quantizers.quantization_step import QuantizationStep
from keras_bidalle.quantizers.quantizer import (
    Quantizer,
    count_codes,
    freeze_parts,
)
from keras_bidalle.validation import check_at_least, check_flag, check_positive


@keras.saving.register_keras_serializable(package="keras_bidalle")
class ResidualQuantizer(Quantizer):
    """Replaces each latent by a sum of `code_depth` code vectors.

    Each depth quantizes what the depths before it left over. The commitment
    loss looks at the partial sums, `commitment_weight * mean_d mean((z -
    sg[e_1 + ... + e_d])^2)`; learned codebooks are pulled to the residuals
    they quantize. With one shared codebook that is an average, it moves once
    for each depth.

    Args:
        quantizer: a `HardQuantizer` (any of this library but
            `GumbelQuantizer`), or a list of them, one for each depth, of one
            `code_dim`. Their own `commitment_weight` and `gradient` play no
            part. `num_codes` is that of the largest.
        code_depth: int, the number of codes D for each position; may be left
            out with a list.
        shared: bool. With a single `quantizer`: whether all depths use its
            codebook, or each has a copy of its own.
        commitment_weight: float, the weight of the commitment loss.
        gradient: `"straight_through"` or a `GradientEstimator`, how
            gradients pass from the sum to the latents.

    Raises:
        ValueError: if the quantizers do not fit each other or `code_depth`.

    Example:

    ```python
    quantizer = keras_bidalle.quantizers.ResidualQuantizer(
        keras_bidalle.quantizers.EMAVectorQuantizer(512, 16), code_depth=4
    )
    codes = quantizer.encode(keras.random.normal((2, 8, 8, 16)))
    codes.shape  # (2, 8, 8, 4)
    coarse = quantizer.decode(codes[..., :2])  # of the first two
    ```

    Reference:
        [Autoregressive Image Generation using Residual
        Quantization](https://arxiv.org/abs/2203.01941), Sec. 3.1.
    """

    kept_as = {"quantizer": "_given", "num_codes": None, "code_dim": None}
    old_names = {"beta": "commitment_weight", "depth": "code_depth"}

    def __init__(
        self,
        quantizer: HardQuantizer | Sequence[HardQuantizer],
        code_depth: int | None = None,
        shared: bool = True,
        commitment_weight: float = 0.25,
        gradient: Any = "straight_through",
        **kwargs: Any,
    ) -> None:
        is_list = isinstance(quantizer, list | tuple)
        parts: list[Any] = list(quantizer) if is_list else [quantizer]
        depth: Any = code_depth
        if depth is None and is_list:
            depth = len(parts)
        check_positive(code_depth=depth)
        _check_parts(parts, depth if is_list else 1)
        first = parts[0]
        largest = max(part.num_codes for part in parts)
        super().__init__(largest, first.code_dim, **kwargs)
        self.code_depth = depth
        check_at_least(commitment_weight=commitment_weight)
        check_flag(shared=shared)
        self.shared = shared
        self.commitment_weight = commitment_weight
        self.gradient = named.get(
            "gradient", gradient, GradientEstimator, ESTIMATORS
        )
        self._gradient_seed = getattr(self.gradient, "seed_generator", None)
        # A public name would come before `quantizers` in files of weights.
        self._given = parts[:] if is_list else first
        if not is_list and not shared:
            parts += [_copy(first, number) for number in range(1, depth)]
        # One for each depth, or the one that serves them all.
        self.quantizers = parts
        for part in self.quantizers:
            part.keeps_metrics = False
        freeze_parts(self, self.quantizers)

    @property
    def counts_shape(self) -> Any:
        if self.has_one_codebook:
            return (self.num_codes,)
        return (self.code_depth, self.num_codes)

    @property
    def counted_codes(self) -> Any:
        return sum(part.num_codes for part in self.quantizers)

    @property
    def codebook_sizes(self) -> Any:
        """`num_codes`, or a tuple of D numbers where they are not all one."""
        if self.counted_codes == len(self.quantizers) * self.num_codes:
            return self.num_codes
        return tuple(part.num_codes for part in self.quantizers)

    @property
    def has_one_codebook(self) -> bool:
        return len(self.quantizers) == 1

    def quantizer_at(self, depth: int) -> HardQuantizer:
        """The quantizer of a depth, counted from 0."""
        return self.quantizers[0 if self.has_one_codebook else depth]

    def build(self, input_shape: Any) -> Any:
        super().build(input_shape)
        for part in self.quantizers:
            if not part.built:
                part.build(input_shape)

    def apply_codebook(self, z: Any, training: Any = None) -> Any:
        flat = ops.reshape(z, (-1, self.code_dim))
        residual, total = flat, ops.zeros_like(flat)
        commitment, codebook_loss, all_codes = 0.0, 0.0, []
        for depth in range(self.code_depth):
            part = self.quantizer_at(depth)
            if depth == 0 or not self.has_one_codebook:
                step = QuantizationStep(part, [residual], training)
            vectors, codes = step.quantize(residual)
            total = total + vectors
            commitment += mean_square(flat - ops.stop_gradient(total))
            codebook_loss += part.codebook_loss(
                part.prepared(residual), vectors
            )
            residual = residual - ops.stop_gradient(vectors)
            all_codes.append(codes)
            if depth == self.code_depth - 1 or not self.has_one_codebook:
                step.end()
        loss = self.commitment_weight * commitment + codebook_loss
        self.add_loss(loss / self.code_depth)
        for part in self.quantizers:
            regularization = part.regularization_loss()
            if regularization is not None:
                self.add_loss(regularization)
        shape = ops.shape(z)
        output = self.gradient(flat, total, training=training)
        quantized = ops.reshape(output, shape)
        codes = ops.stack(all_codes, axis=-1)
        return quantized, ops.reshape(codes, (*shape[:-1], self.code_depth))

    def count(self, codes: Any) -> Any:
        if self.has_one_codebook:
            return count_codes(codes, self.num_codes)
        counts = [
            count_codes(codes[..., depth], self.num_codes)
            for depth in range(self.code_depth)
        ]
        return ops.stack(counts)

    def encode(self, z: Any) -> Any:
        self.ensure_built()
        residual, codes = self.as_latents(z), []
        for depth in range(self.code_depth):
            part = self.quantizer_at(depth)
            codes.append(part.encode(residual))
            residual = residual - ops.stop_gradient(part.lookup(codes[-1]))
        return ops.stack(codes, axis=-1)

    def lookup(self, codes: Any) -> Any:
        """Gives the code vectors of each depth, not summed.

        Args:
            codes: integer tensor (B, ..., d), of the first d <= `code_depth`
                depths.

        Returns:
            float32 tensor (B, ..., d, C). Its `ops.cumsum` over axis -2 are
            the partial sums.

        Raises:
            ValueError: if there are more than `code_depth` codes a position.
        """
        self.ensure_built()
        codes = self.as_codes(codes)
        if not 1 <= codes.shape[-1] <= self.code_depth:
            raise ValueError(
                f"`codes` must have from 1 to `code_depth`={self.code_depth} "
                "codes in the last dimension. "
                f"Received: shape={tuple(codes.shape)}"
            )
        vectors = [
            self.quantizer_at(depth).lookup(codes[..., depth])
            for depth in range(codes.shape[-1])
        ]
        return ops.stack(vectors, axis=-2)

    def decode(self, codes: Any) -> Any:
        return ops.sum(self.lookup(codes), axis=-2)


def _check_parts(quantizers, expected):
    for part in quantizers:
        if not isinstance(part, HardQuantizer):
            raise ValueError(
                "`quantizer` must be a HardQuantizer or a list of them: each "
                "depth chooses one code, and gradients pass the sum. "
                f"Received: {shown(part)}"
            )
        if part.input_dim != part.code_dim:
            raise ValueError(
                "`quantizer` must hold quantizers without projections. "
                f"Received: input_dim={part.input_dim}"
            )
    if len(quantizers) != expected:
        raise ValueError(
            f"`quantizer` must hold `code_depth`={expected} quantizers. "
            f"Received: {len(quantizers)}"
        )
    sizes = {part.code_dim for part in quantizers}
    if len(sizes) > 1:
        raise ValueError(
            "`quantizer` must hold quantizers of the same code_dim. "
            f"Received: code_dim={sorted(sizes)}"
        )


def _copy(quantizer, number):
    config = quantizer.get_config()
    config["name"] = f"{quantizer.name}_{number}"
    if config.get("seed") is not None:
        config["seed"] += number
    return type(quantizer).from_config(config)
