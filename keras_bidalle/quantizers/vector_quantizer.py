"""Vector quantization with a codebook trained by gradients."""

import keras
from keras import ops

from keras_bidalle.backend import replicas
from keras_bidalle.quantizers.codebook_quantizer import (
    CodebookQuantizer,
    mean_square,
)
from keras_bidalle.quantizers.quantizer import count_codes
from keras_bidalle.validation import check_positive


@keras.saving.register_keras_serializable(package="keras_bidalle")
class VectorQuantizer(CodebookQuantizer):
    """Replaces each latent by the nearest of K learned codes.

    The loss is `mean((sg[e] - z)^2) * beta + mean((e - sg[z])^2)`, with e the
    nearest code and sg the stopped gradient: the first term keeps the
    encoder near its codes, the second moves the codes.

    With the defaults this is the published quantizer, of which small runs
    often use a few codes only. `kmeans_steps=10, revival_steps=100` starts
    the codebook from data and moves codes that nobody chose to where they
    are missed. Both work inside the compiled step: then a code is the sum of
    the trained `embedding` and an `anchor` that no optimizer touches.

    Args:
        num_codes: int, the size K of the codebook.
        code_dim: int, the length C of a code.
        beta: float, the weight of the commitment loss.
        distance: `"l2"`, `"cosine"` or a `Distance`.
        codebook_regularizer: Keras regularizer of the codebook (K, C), such
            as `OrthogonalRegularizer`, or `None`.
        codebook_initializer: Keras initializer, by default uniform in
            [-1/K, 1/K].
        legacy_beta: bool. If `True`, `beta` weighs the codebook's term
            instead, as the first published VQGAN weights were trained.
        kmeans_steps: int, training steps of the start from data; 0 for none.
        revival_steps: int or `None`. A code that was not chosen for so many
            training steps is moved to a latent of the batch; `None` for
            never.
        seed: int or `None`, for the draws of these two.

    Call arguments:
        z: float tensor (B, ..., C).
        training: bool or `None`.

    Returns:
        Tensor (B, ..., C), straight-through.

    Raises:
        ValueError: if an argument is out of its range, or the latents do not
            have `code_dim` channels.

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

    def __init__(
        self,
        num_codes,
        code_dim,
        beta=0.25,
        distance="l2",
        codebook_regularizer=None,
        codebook_initializer=None,
        legacy_beta=False,
        kmeans_steps=0,
        revival_steps=None,
        seed=None,
        **kwargs,
    ):
        if revival_steps is not None:
            check_positive(revival_steps=revival_steps)
        super().__init__(
            num_codes,
            code_dim,
            beta=beta,
            distance=distance,
            kmeans_steps=kmeans_steps,
            seed=seed,
            **kwargs,
        )
        self.codebook_regularizer = keras.regularizers.get(codebook_regularizer)
        self.codebook_initializer = keras.initializers.get(codebook_initializer)
        self.legacy_beta = legacy_beta
        self.revival_steps = revival_steps
        # A regularizer is no layer: its random state is tracked here.
        self._regularizer_seed = getattr(
            self.codebook_regularizer, "seed_generator", None
        )

    def build(self, input_shape):
        super().build(input_shape)
        shape = (self.num_codes, self.code_dim)
        bound = 1.0 / self.num_codes
        self.embedding = self.add_weight(
            name="embedding",
            shape=shape,
            initializer=self.codebook_initializer
            or keras.initializers.RandomUniform(-bound, bound, self.seed),
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
    def codebook(self):
        codes = ops.convert_to_tensor(self.embedding)
        return codes if self.anchor is None else codes + self.anchor

    def write_codes(self, codes):
        if self.anchor is None:
            self.embedding.assign(codes)
        else:
            self.anchor.assign(ops.stop_gradient(codes - self.embedding))

    def quantization_loss(self, z, quantized):
        commitment = mean_square(z - ops.stop_gradient(quantized))
        codebook = self.codebook_loss(z, quantized)
        if self.legacy_beta:
            return commitment + self.beta * codebook
        return self.beta * commitment + codebook

    def codebook_loss(self, z, quantized):
        return mean_square(quantized - ops.stop_gradient(z))

    def regularization_loss(self):
        if self.codebook_regularizer is None:
            return None
        return self.codebook_regularizer(self.codebook)

    def learn(self, z, codes, step, first=True):
        # The codebook stands still within a step, whatever the depths.
        if self.anchor is None or step is None:
            return
        z, codes, _ = (
            ops.concatenate(column) for column in zip(*step, strict=True)
        )
        counts = count_codes(codes, self.num_codes)
        used = ops.greater(counts, 0.0)
        moved = self.codebook
        dead = ops.zeros_like(used)
        if self.kmeans_steps:
            sums = replicas.all_reduce_sum(
                ops.segment_sum(z, codes, num_segments=self.num_codes)
            )
            means = sums / ops.maximum(counts, 1.0)[:, None]
            starting = self.is_starting()
            moved = ops.where((starting & used)[:, None], means, moved)
            dead = starting & ~used
        if self.revival_steps:
            idle = ops.where(used, 0.0, self.idle_steps + 1.0)
            dead = dead | (idle >= float(self.revival_steps))
            self.idle_steps.assign(ops.where(dead, 0.0, idle))
        self.write_codes(ops.where(dead[:, None], self.draw_codes(step), moved))
        self.count_start_step()

    def get_config(self):
        config = super().get_config()
        config.update(
            codebook_regularizer=keras.regularizers.serialize(
                self.codebook_regularizer
            ),
            codebook_initializer=keras.initializers.serialize(
                self.codebook_initializer
            ),
            legacy_beta=self.legacy_beta,
            revival_steps=self.revival_steps,
        )
        return config
