"""What quantizers with a codebook of running means share."""

from typing import Any

import keras
from keras import ops

from keras_bidalle.quantizers.codebook_quantizer import CodebookQuantizer
from keras_bidalle.quantizers.quantizer import count_codes
from keras_bidalle.validation import check_at_least, refused


class AveragedCodebook(CodebookQuantizer):
    """Base of the quantizers whose code vectors are running means of latents.

    Subclasses implement `learn` and `end_step` with `averaged`, `means` and
    `write_statistics`.
    """

    def __init__(
        self,
        num_codes: int,
        code_dim: int,
        decay: float = 0.99,
        epsilon: float = 1e-5,
        **kwargs: Any,
    ) -> None:
        super().__init__(num_codes, code_dim, **kwargs)
        check_at_least(decay=decay, epsilon=epsilon)
        if decay >= 1:
            raise refused("lie in [0, 1)", decay=decay)
        self.decay = decay
        self.epsilon = epsilon

    def default_initializer(self):
        return keras.initializers.RandomNormal(stddev=1.0, seed=self.seed)

    def build(self, input_shape):
        super().build(input_shape)
        shape = (self.num_codes, self.code_dim)
        self.embedding = self.add_state(
            "embedding",
            shape,
            self.codebook_initializer or self.default_initializer(),
        )
        # Both from zero: their quotient is then right from the first step.
        self.cluster_size = self.add_state(
            "cluster_size", (self.num_codes,), "zeros"
        )
        self.embed_sum = self.add_state("embed_sum", shape, "zeros")

    @property
    def codebook(self):
        return ops.convert_to_tensor(self.embedding)

    def write_codebook(self, vectors):
        self.embedding.assign(vectors)

    def assign_codebook(self, vectors):
        super().assign_codebook(vectors)
        self.cluster_size.assign(ops.ones((self.num_codes,), "float32"))
        # A copy: JAX gives the arrays of a step away, each once.
        self.embed_sum.assign(ops.copy(self.embedding))

    def averaged(self, uses):
        """Counts (K,) and sums (K, C) with the latest use in them.

        During the start from data they are of this step's latents alone.
        """
        keep, gain = self.decay, 1.0 - self.decay
        if self.kmeans_steps:
            starting = self.is_starting()
            keep = ops.where(starting, 0.0 if len(uses) == 1 else 1.0, keep)
            gain = ops.where(starting, 1.0, gain)
        counts = count_codes(uses[-1].codes, self.num_codes)
        sums = self.sum_latents(uses[-1].z, uses[-1].codes)
        return (
            keep * self.cluster_size + gain * counts,
            keep * self.embed_sum + gain * sums,
        )

    def means(self, sizes, sums):
        """The vectors (K, C) that counts (K,) and sums (K, C) give."""
        means = sums / ops.maximum(self.smoothed(sizes), 1e-20)[:, None]
        # A code that never won anything has no mean yet.
        return ops.where((sizes > 0.0)[:, None], means, self.codebook)

    def smoothed(self, sizes):
        """Laplace smoothing of the counts (K,), which keeps their sum."""
        total = ops.sum(sizes)
        smoothing = self.num_codes * self.epsilon
        return (sizes + self.epsilon) / (total + smoothing) * total

    def write_statistics(self, vectors, sizes, sums):
        self.write_codebook(vectors)
        self.cluster_size.assign(sizes)
        self.embed_sum.assign(sums)
