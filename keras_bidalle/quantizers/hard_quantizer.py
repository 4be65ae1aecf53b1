"""What all quantizers that choose one code for each latent share."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_bidalle.quantizers import gradient_estimators
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
        gradient: `"straight_through"` or a `GradientEstimator`, how
            gradients pass from code vectors to latents.
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
        self.gradient = gradient_estimators.get(gradient)

    def nearest(self, z: Any) -> Any:
        """Chooses codes.

        Args:
            z: float32 tensor (N, C).

        Returns:
            Tuple of the int32 codes (N,) and their distances (N,), float32,
            without gradients.
        """
        raise NotImplementedError

    def lookup(self, codes: Any) -> Any:
        """Code vectors (..., C) of int32 codes (...), with gradients."""
        raise NotImplementedError

    def begin_step(self, latents: Sequence[Any]) -> None:
        """Prepares a training step, in which codes are about to be chosen.

        Args:
            latents: list of float32 tensors (N, C), without gradients: those
                that are known before the first use.
        """

    def learn(self, uses: Sequence[Use]) -> None:
        """Learns from the latest use, of which another is to follow.

        Args:
            uses: list of the `Use`s of the step, until now.
        """

    def end_step(self, uses: Sequence[Use]) -> None:
        """Learns from the latest use and from the training step as a whole.

        Args:
            uses: list of all `Use`s of the step.
        """

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

    def new_step(self, latents: Any, training: bool | None) -> QuantizationStep:
        """Begins a step, for those who use this quantizer part by part."""
        return QuantizationStep(self, latents, training)

    def apply_codebook(self, z: Any, training: Any = None) -> Any:
        (quantized,), (codes,) = self.apply_to_levels([z], training=training)
        return quantized, codes

    def apply_to_levels(self, levels: Any, training: Any = None) -> Any:
        flat = [ops.reshape(z, (-1, self.code_dim)) for z in levels]
        step = self.new_step(flat, training)
        loss, outputs, all_codes = 0.0, [], []
        for level, z in zip(levels, flat, strict=True):
            quantized, codes = step.quantize(z)
            loss += self.quantization_loss(z, quantized)
            output = self.gradient(z, quantized)
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
        z = self.as_latents(z)
        codes, _ = self.nearest(ops.reshape(z, (-1, self.code_dim)))
        return ops.reshape(codes, ops.shape(z)[:-1])

    def decode(self, codes: Any) -> Any:
        self.ensure_built()
        return self.lookup(self.as_codes(codes))

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.update(
            commitment_weight=self.commitment_weight,
            gradient=keras.saving.serialize_keras_object(self.gradient),
        )
        return config
