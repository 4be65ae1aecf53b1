"""A generator's copy of its tokenizer's codebooks."""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_bidalle import named
from keras_bidalle.backend.noise import NoiseSeedGenerator
from keras_bidalle.generators.stochastic_codes import (
    codebooks_of,
    distance_of,
    draw_stacks,
    stack_losses,
)
from keras_bidalle.quantizers.distances import DISTANCES, Distance
from keras_bidalle.transformer.layer import TransformerLayer
from keras_bidalle.validation import check_positive, refused


def check_temperature(code_temperature: float) -> None:
    """Raises a `ValueError` unless it is above 0."""
    if not code_temperature > 0:
        raise refused("be above 0", code_temperature=code_temperature)


@keras.saving.register_keras_serializable(package="keras_bidalle")
class FrozenCodebooks(TransformerLayer):
    """Codebooks of residual stacks that stay as their tokenizer learned them.

    Codes are embedded by them, and stacks drawn from latents: at
    `code_temperature` in training, and the nearest codes in evaluation.

    Args:
        num_codes: int, K.
        code_depth: int, D, codes of a stack.
        code_dim: int, C, channels of the tokenizer's codes.
        shared_codebook: bool, whether one codebook serves all depths.
        code_temperature: float, above 0, of drawn codes and their odds.
        code_distance: `"l2"`, `"cosine"` or a `Distance`, by which the
            tokenizer searches. `use` takes over the tokenizer's own.

    Attributes:
        codebooks: float32 variable (1 or D, K, C), zeros until `use`.

    Reference:
        RQ-Transformer, arXiv 2203.01941, Sec. 3.2.3.
    """

    def __init__(
        self,
        num_codes: int,
        code_depth: int,
        code_dim: int,
        shared_codebook: bool = True,
        code_temperature: float = 0.5,
        code_distance: Any = "l2",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_positive(
            num_codes=num_codes, code_depth=code_depth, code_dim=code_dim
        )
        check_temperature(code_temperature)
        self.num_codes = num_codes
        self.code_depth = code_depth
        self.code_dim = code_dim
        self.shared_codebook = shared_codebook
        self.code_temperature = code_temperature
        self.distance = named.get(
            "code_distance", code_distance, Distance, DISTANCES
        )
        self.code_seed = NoiseSeedGenerator()

    def build(self, input_shape: Any = None) -> None:
        count = 1 if self.shared_codebook else self.code_depth
        self.codebooks = self.add_weight(
            shape=(count, self.num_codes, self.code_dim),
            initializer="zeros",
            trainable=False,
            dtype="float32",
            autocast=False,
            aggregation="only_first_replica",
            name="codebooks",
        )

    def use(self, tokenizer: Any) -> None:
        """Takes over the codebooks of a tokenizer, as `codebooks_of` takes it.

        An array is of codes that are searched by `code_distance`.

        Raises:
            ValueError: if they are of another shape, or searched by several
                distances.
        """
        found, distance = codebooks_of(tokenizer), distance_of(tokenizer)
        wanted = tuple(self.codebooks.shape)
        if len(found) > wanted[0] == 1 and not np.ptp(found, axis=0).any():
            found = found[:1]
        if len(found) == 1:
            found = np.repeat(found, wanted[0], axis=0)
        if found.shape != wanted:
            raise ValueError(
                f"`tokenizer` must have codebooks of shape {wanted} "
                "(codebooks, codes, channels), as this generator was made "
                f"for. Received: {found.shape}"
            )
        self.codebooks.assign(found)
        self.distance = distance or self.distance

    def check_filled(self) -> None:
        """Raises a `ValueError` if there are no codebooks yet."""
        if not np.any(ops.convert_to_numpy(self.codebooks)):
            raise ValueError(
                "This generator has no codebooks yet. Call `use_codebooks` "
                "with its tokenizer before `fit`."
            )

    def flat_latents(self, latents: Any) -> Any:
        """The latents of all positions: float32 (B P, C).

        Raises:
            ValueError: if they have other channels than the codes.
        """
        latents = ops.cast(latents, "float32")
        if latents.shape[-1] != self.code_dim:
            raise ValueError(
                "`latents` need a generator with as many channels as they "
                f"have in `code_dim`. Received: code_dim={self.code_dim}, "
                f"latents of shape {tuple(latents.shape)}"
            )
        return ops.reshape(latents, (-1, self.code_dim))

    def draw(self, latents: Any, training: bool | None = None) -> Any:
        """Stacks of latents (..., C): int32 tensor (N, D)."""
        return draw_stacks(
            self.flat_latents(latents),
            ops.convert_to_tensor(self.codebooks),
            self.code_depth,
            self.code_temperature if training else None,
            self.code_seed,
            self.distance,
        )

    def losses_of(
        self,
        hidden: Any,
        kernels: Any,
        biases: Any,
        latents: Any,
        stacks: Any,
        training: bool,
    ) -> Any:
        """Cross-entropy of stacks that were drawn from latents (..., C).

        As `stack_losses`, with the odds as targets in training.
        """
        return stack_losses(
            hidden,
            kernels,
            biases,
            self.flat_latents(latents),
            stacks,
            ops.convert_to_tensor(self.codebooks),
            self.code_temperature if training else None,
            self.distance,
        )

    @property
    def code_distance(self) -> dict:
        return keras.saving.serialize_keras_object(self.distance)
