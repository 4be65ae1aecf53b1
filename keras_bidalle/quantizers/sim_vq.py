"""A codebook that moves as a whole: a frozen table times a learned matrix."""

from typing import Any

import keras
from keras import ops

from keras_bidalle.quantizers.vector_quantizer import VectorQuantizer


@keras.saving.register_keras_serializable(package="keras_bidalle")
class SimVQ(VectorQuantizer):
    """A `VectorQuantizer` whose code vectors are the rows of E = C W.

    The table C (K, C) is drawn from a normal distribution of deviation
    code_dim^-0.5 and stays; the matrix W (C, C), orthogonal at first, is
    trained. Each chosen code so moves all others, and none is left behind.

    Args:
        num_codes: int, the size K of the codebook.
        code_dim: int, the length C of a code vector.
        **kwargs: those of `VectorQuantizer` but `kmeans_steps` and
            `revival_steps`: `codebook_weight=1.0`, `commitment_weight=0.25`.

    Reference:
        [Addressing Representation Collapse in Vector Quantized Models with
        One Linear Layer](https://arxiv.org/abs/2411.02038), section 4.
    """

    table_is_trained = False
    kept_as = {"kmeans_steps": None, "revival_steps": None}

    def __init__(self, num_codes: int, code_dim: int, **kwargs: Any) -> None:
        super().__init__(num_codes, code_dim, **kwargs)
        if self.kmeans_steps or self.revival_steps:
            raise ValueError(
                "`kmeans_steps` and `revival_steps` must be left out: the "
                "code vectors of SimVQ do not move one by one."
            )

    def default_initializer(self) -> Any:
        return keras.initializers.RandomNormal(
            stddev=self.code_dim**-0.5, seed=self.seed
        )

    def build(self, input_shape: Any) -> Any:
        super().build(input_shape)
        self.projection = self.add_weight(
            name="projection",
            shape=(self.code_dim, self.code_dim),
            initializer=keras.initializers.Orthogonal(seed=self.seed),
            dtype="float32",
            autocast=False,
        )

    @property
    def codebook(self) -> Any:
        return ops.matmul(super().codebook, self.projection)

    def write_codebook(self, vectors: Any) -> Any:
        self.embedding.assign(vectors)
        self.projection.assign(ops.eye(self.code_dim, dtype="float32"))
