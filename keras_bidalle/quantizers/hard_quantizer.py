"""What all quantizers that choose one code for each latent share."""

from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_bidalle import named
from keras_bidalle.quantizers.gradient_estimators import (
    ESTIMATORS,
    GradientEstimator,
)
from keras_bidalle.quantizers.quantization_step import QuantizationStep, Use
from keras_bidalle.quantizers.quantizer import Quantizer
from keras_bidalle.validation import check_at_least


def mean_square(x):
    return ops.mean(ops.square(x))


class HardQuantizer(Quantizer):
    """Base of the quantizers that choose one code for each latent.

    Any of them may stand in a tokenizer, be a depth of a
    `ResidualQuantizer`, or serve the levels of a `MultiLevelQuantizer`.

    Subclasses implement `nearest` and `lookup`. Those with something to
    learn from a training step also implement `begin_step`, `learn` and
    `end_step`, and those with losses of their own `codebook_loss` and
    `regularization_loss`.

    Args:
        num_codes: int, the size K of the codebook.
        code_dim: int, the length C of a code vector.
        commitment_weight: float, the weight of the commitment loss, which
            keeps latents near their codes (the paper's beta).
        gradient: `"straight_through"`, `"rotation"`, `"diveq"` or a
            `GradientEstimator`, how gradients pass from code vectors to
            latents.
    """

    old_names = {"beta": "commitment_weight"}

    def __init__(
        self,
        num_codes: int,
        code_dim: int,
        commitment_weight: float = 0.25,
        gradient: Any = "straight_through",
        **kwargs: Any,
    ) -> None:
        super().__init__(num_codes, code_dim, **kwargs)
        check_at_least(commitment_weight=commitment_weight)
        self.commitment_weight = commitment_weight
        self.gradient = named.get(
            "gradient", gradient, GradientEstimator, ESTIMATORS
        )
        # An estimator is not a layer: its random state is tracked here.
        self._gradient_seed = getattr(self.gradient, "seed_generator", None)

    def nearest(self, z: Any) -> Any:
        """Int32 codes (N,) of float32 `z` (N, C), and their distances (N,).

        Both are without gradients.
        """
        raise NotImplementedError

    def lookup(self, codes: Any) -> Any:
        """Code vectors (..., C) of int32 codes (...), with gradients."""
        raise NotImplementedError

    @property
    def codebook(self) -> Any:
        """The code vectors as they are now, float32 tensor (K, C)."""
        return self.lookup(ops.arange(self.num_codes, dtype="int32"))

    def prepared(self, z: Any) -> Any:
        """What code vectors stand for: latents (N, C), or bounded ones."""
        return z

    def begin_step(self, latents: Sequence[Any]) -> None:
        """Prepares a training step, in which codes are about to be chosen.

        `latents` (N, C), without gradients, are those known by then.
        """

    def learn(self, uses: Sequence[Use]) -> None:
        """Learns from the last of `uses`, which another is to follow."""

    def end_step(self, uses: Sequence[Use]) -> None:
        """Learns from the last of `uses` and from the step as a whole."""

    def codebook_loss(self, z: Any, quantized: Any) -> Any:
        """The loss that pulls code vectors to `z` (N, C), a scalar."""
        return 0.0

    def regularization_loss(self) -> Any:
        """The loss on the codebook alone, or `None`."""
        return None

    def quantization_loss(self, z: Any, quantized: Any) -> Any:
        """The commitment loss and the codebook's, a float32 scalar."""
        commitment = mean_square(z - ops.stop_gradient(quantized))
        return self.commitment_weight * commitment + self.codebook_loss(
            z, quantized
        )

    def passed_on(self, z: Any, quantized: Any, training: Any) -> Any:
        """The output, with gradients to prepared `z` (N, C), and the loss."""
        output = self.gradient(z, quantized, training=training)
        return output, self.quantization_loss(z, quantized)

    def apply_codebook(self, z: Any, training: Any = None) -> Any:
        (quantized,), (codes,) = self.apply_to_levels([z], training=training)
        return quantized, codes

    def apply_to_levels(self, levels: Any, training: Any = None) -> Any:
        flat = [ops.reshape(z, (-1, self.code_dim)) for z in levels]
        step = QuantizationStep(self, flat, training)
        loss, outputs, all_codes = 0.0, [], []
        for level, z in zip(levels, flat, strict=True):
            quantized, codes = step.quantize(z)
            output, level_loss = self.passed_on(
                self.prepared(z), quantized, training
            )
            loss += level_loss
            outputs.append(ops.reshape(output, ops.shape(level)))
            all_codes.append(ops.reshape(codes, ops.shape(level)[:-1]))
        self.add_loss(loss)
        regularization = self.regularization_loss()
        if regularization is not None:
            self.add_loss(regularization)
        step.end()
        return outputs, all_codes

    def encode(self, z: Any) -> Any:
        self.ensure_built()
        return self.encode_projected(self.as_latents(z))

    def encode_projected(self, z: Any) -> Any:
        """Codes (B, ...) of float32 latents (B, ..., C), as they are."""
        codes, _ = self.nearest(ops.reshape(z, (-1, self.code_dim)))
        return ops.reshape(codes, ops.shape(z)[:-1])

    def decode(self, codes: Any) -> Any:
        self.ensure_built()
        return self.lookup(self.as_codes(codes))
