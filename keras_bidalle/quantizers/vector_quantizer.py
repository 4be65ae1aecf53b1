"""Vector quantization with a codebook trained by gradients."""

from typing import Any

import keras
from keras import ops

from keras_bidalle.quantizers.codebook_quantizer import CodebookQuantizer
from keras_bidalle.quantizers.distances import unit_rows
from keras_bidalle.quantizers.hard_quantizer import mean_square
from keras_bidalle.quantizers.quantizer import count_codes
from keras_bidalle.validation import (
    check_at_least,
    check_flag,
    check_positive_or_none,
)


@keras.saving.register_keras_serializable(package="keras_bidalle")
class VectorQuantizer(CodebookQuantizer):
    """Replaces each latent by the nearest of K learned codes.

    The loss is `commitment_weight * mean((z - sg[e])^2) + codebook_weight *
    mean((e - sg[z])^2)`, with e the nearest code vector and sg the stopped
    gradient: the first term keeps the encoder near its codes, the second
    moves the codes. (The first published VQGAN was trained with 1 and 0.25.)

    With the defaults this is the published quantizer, of which small runs
    often use a few codes only. `kmeans_steps=10, revival_steps=100` starts
    the codebook from data and moves codes that nobody chose to where they
    are missed. Both work inside the compiled step: then a code vector is the
    sum of the trained `embedding` and an `anchor` that no optimizer touches.

    Args:
        num_codes: int, the size K of the codebook.
        code_dim: int, the length C of a code vector.
        codebook_weight: float, the weight of the codebook's loss.
        revival_steps: int or `None`. A code that was not chosen for so many
            training steps is moved to a latent of the batch; `None` for
            never.
        codebook_regularizer: Keras regularizer of the codebook (K, C), such
            as `OrthogonalRegularizer`, or `None`.
        input_dim: int or `None`, the channels of latents and of the output.
            Where they are not `code_dim`, linear projections stand before
            the search and after it: few channels keep a large codebook in
            use.
        normalize: bool, whether latents and code vectors are scaled to
            length 1. With `code_dim=8` this is LlamaGen's tokenizer.
        **kwargs: as in `CodebookQuantizer`: `commitment_weight=0.25`,
            `distance="l2"`, `codebook_initializer` (by default uniform in
            [-1/K, 1/K]), `kmeans_steps=0`, `seed`, `gradient`.

    Example:

    ```python
    quantizer = keras_bidalle.quantizers.VectorQuantizer(128, 16)
    latents = keras.random.normal((2, 8, 8, 16))
    codes = quantizer.encode(latents)  # (2, 8, 8) int32
    latents = quantizer.decode(codes)  # (2, 8, 8, 16) float32
    ```

    Reference:
        [Neural Discrete Representation
        Learning](https://arxiv.org/abs/1711.00937), Eq. 3.
    """

    table_is_trained = True

    def __init__(
        self,
        num_codes: int,
        code_dim: int,
        codebook_weight: float = 1.0,
        revival_steps: int | None = None,
        codebook_regularizer: Any = None,
        input_dim: int | None = None,
        normalize: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(num_codes, code_dim, **kwargs)
        check_positive_or_none(input_dim=input_dim)
        check_flag(normalize=normalize)
        self.input_dim = self.output_dim = input_dim or code_dim
        self.normalize = normalize
        check_at_least(codebook_weight=codebook_weight)
        check_positive_or_none(revival_steps=revival_steps)
        self.codebook_weight = codebook_weight
        self.codebook_regularizer = keras.regularizers.get(codebook_regularizer)
        self.revival_steps = revival_steps
        # A regularizer is not a layer: its random state is tracked here.
        self._regularizer_seed = getattr(
            self.codebook_regularizer, "seed_generator", None
        )

    def default_initializer(self) -> Any:
        bound = 1.0 / self.num_codes
        return keras.initializers.RandomUniform(-bound, bound, self.seed)

    def build(self, input_shape: Any) -> Any:
        super().build(input_shape)
        if self.input_dim != self.code_dim:
            # Keras does not hand `trainable=False` of a constructor on.
            common = {"dtype": "float32", "trainable": self.trainable}
            self.project_in = keras.layers.Dense(self.code_dim, **common)
            self.project_out = keras.layers.Dense(self.output_dim, **common)
            self.project_in.build((None, self.input_dim))
            self.project_out.build((None, self.code_dim))
        shape = (self.num_codes, self.code_dim)
        self.embedding = self.add_weight(
            name="embedding",
            trainable=self.table_is_trained,
            shape=shape,
            initializer=self.codebook_initializer or self.default_initializer(),
            dtype="float32",
            autocast=False,
        )
        self.anchor = None
        if self.kmeans_steps or self.revival_steps:
            # On JAX only the optimizer can write a trained weight within a
            # step, so codes are moved by moving what they are relative to.
            self.anchor = self.add_state("anchor", shape, "zeros")
        if self.revival_steps:
            self.idle_steps = self.add_state(
                "idle_steps", (self.num_codes,), "zeros"
            )

    @property
    def codebook(self) -> Any:
        vectors = ops.convert_to_tensor(self.embedding)
        vectors = vectors if self.anchor is None else vectors + self.anchor
        return unit_rows(vectors) if self.normalize else vectors

    def prepared(self, z: Any) -> Any:
        return unit_rows(z) if self.normalize else z

    def write_codebook(self, vectors: Any) -> Any:
        if self.anchor is None:
            self.embedding.assign(vectors)
        else:
            self.anchor.assign(ops.stop_gradient(vectors - self.embedding))

    def apply_to_levels(self, levels: Any, training: Any = None) -> Any:
        if self.input_dim == self.code_dim:
            return super().apply_to_levels(levels, training=training)
        levels = [self.project_in(level) for level in levels]
        outputs, codes = super().apply_to_levels(levels, training=training)
        return [self.project_out(output) for output in outputs], codes

    def encode(self, z: Any) -> Any:
        self.ensure_built()
        z = self.as_latents(z)
        if self.input_dim != self.code_dim:
            z = self.project_in(z)
        return self.encode_projected(z)

    def decode(self, codes: Any) -> Any:
        vectors = super().decode(codes)
        if self.input_dim == self.code_dim:
            return vectors
        return self.project_out(vectors)

    def codebook_loss(self, z: Any, quantized: Any) -> Any:
        loss = mean_square(quantized - ops.stop_gradient(z))
        return self.codebook_weight * loss

    def regularization_loss(self) -> Any:
        if self.codebook_regularizer is None:
            return None
        return self.codebook_regularizer(self.codebook)

    # The codebook stands still within a step, however often it is used.
    def end_step(self, uses: Any) -> Any:
        if self.anchor is None:
            return
        z = ops.concatenate([use.z for use in uses])
        codes = ops.concatenate([use.codes for use in uses])
        counts = count_codes(codes, self.num_codes)
        used = ops.greater(counts, 0.0)
        moved = self.codebook
        dead = ops.zeros_like(used)
        if self.kmeans_steps:
            sums = self.sum_latents(z, codes)
            means = sums / ops.maximum(counts, 1.0)[:, None]
            starting = self.is_starting()
            moved = ops.where((starting & used)[:, None], means, moved)
            dead = starting & ~used
        if self.revival_steps:
            idle = ops.where(used, 0.0, self.idle_steps + 1.0)
            dead = dead | (idle >= float(self.revival_steps))
            self.idle_steps.assign(ops.where(dead, 0.0, idle))
        revived = self.draw_revived(uses)
        self.write_codebook(ops.where(dead[:, None], revived, moved))
        self.count_start_step()

    @classmethod
    def current_arguments(cls, config: Any) -> Any:
        config = dict(config)
        # Once, one weight was for either of the two terms.
        if config.pop("legacy_beta", False):
            config["codebook_weight"] = config.pop("beta", 0.25)
            config["commitment_weight"] = 1.0
        return super().current_arguments(config)
