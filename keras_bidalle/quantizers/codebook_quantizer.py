"""What all quantizers with one searched codebook share."""

from typing import Any

import keras
from keras import ops

from keras_bidalle import named
from keras_bidalle.backend import replicas
from keras_bidalle.backend.extremes import argmin
from keras_bidalle.backend.lookup import lookup
from keras_bidalle.quantizers.distances import DISTANCES, Distance
from keras_bidalle.quantizers.drawing import draw_vectors
from keras_bidalle.quantizers.hard_quantizer import HardQuantizer
from keras_bidalle.quantizers.row_chunks import row_chunks
from keras_bidalle.validation import check_count


class CodebookQuantizer(HardQuantizer):
    """Base of the quantizers that search one codebook for the nearest code.

    With `kmeans_steps`, the codebook starts from data: in the first training
    step its code vectors are latents drawn from the batch, and for that many
    steps each becomes the mean of the latents it won (one Lloyd iteration a
    step, so that the start costs nothing and follows the encoder), while
    codes that won nothing are drawn anew. These and revived codes are
    latents of the batch drawn with odds proportional to their squared
    distance from the codebook, as in k-means++.

    Subclasses implement `codebook`, `write_codebook`, `default_initializer`
    (of a codebook for which none was given) and `end_step`.

    Args:
        num_codes: int, the size K of the codebook.
        code_dim: int, the length C of a code vector.
        distance: `"l2"`, `"cosine"` or a `Distance`.
        codebook_initializer: Keras initializer, or `None` for that of the
            subclass.
        kmeans_steps: int, training steps of the start from data; 0 for none.
        seed: int or `None`, for the draws.
        **kwargs: `commitment_weight` and `gradient`, as in `HardQuantizer`,
            and the arguments of a Keras layer.
    """

    def __init__(
        self,
        num_codes: int,
        code_dim: int,
        distance: Any = "l2",
        codebook_initializer: Any = None,
        kmeans_steps: int = 0,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(num_codes, code_dim, **kwargs)
        check_count(kmeans_steps=kmeans_steps)
        self.distance = named.get("distance", distance, Distance, DISTANCES)
        self.codebook_initializer = keras.initializers.get(codebook_initializer)
        self.kmeans_steps = int(kmeans_steps)
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def write_codebook(self, vectors: Any) -> Any:
        """Puts vectors (K, C) in the codebook's place, within a step."""
        raise NotImplementedError

    def assign_codebook(self, vectors: Any) -> Any:
        """Sets the codebook, between steps: from a checkpoint, say.

        Args:
            vectors: float array (K, C).

        Raises:
            ValueError: on another shape.
        """
        self.ensure_built()
        vectors = ops.cast(ops.convert_to_tensor(vectors), "float32")
        expected = (self.num_codes, self.code_dim)
        if tuple(vectors.shape) != expected:
            raise ValueError(
                "`vectors` must have shape (num_codes, code_dim)="
                f"{expected}. Received: shape={tuple(vectors.shape)}"
            )
        if self.kmeans_steps:
            self.start_step.assign(float(self.kmeans_steps))
        self.write_codebook(vectors)

    def build(self, input_shape: Any) -> Any:
        super().build(input_shape)
        if self.kmeans_steps:
            # A float: int32 state lives on the host under TensorFlow.
            self.start_step = self.add_state("start_step", (), "zeros")

    def nearest(self, z: Any) -> Any:
        codebook = ops.stop_gradient(self.codebook)
        codes, distances = [], []
        latents = ops.stop_gradient(self.prepared(z))
        for part in row_chunks(latents, self.num_codes):
            table = self.distance(part, codebook)
            nearest = argmin(table)
            # Not `ops.min`, which refuses a table without rows.
            chosen = ops.take_along_axis(table, nearest[:, None], axis=-1)
            codes.append(nearest)
            distances.append(chosen[:, 0])
        return ops.concatenate(codes), ops.concatenate(distances)

    def lookup(self, codes: Any) -> Any:
        return lookup(self.codebook, codes)

    def begin_step(self, latents: Any) -> Any:
        """Replaces the codebook by latents in the first training step."""
        if not self.kmeans_steps:
            return
        drawn = draw_vectors(
            [(z, ops.ones_like(z[:, 0])) for z in latents],
            self.num_codes,
            self.seed_generator,
        )
        # In no `ops.cond` may a variable be assigned under tf.distribute.
        is_first = ops.equal(self.start_step, 0.0)
        self.write_codebook(ops.where(is_first, drawn, self.codebook))

    def is_starting(self) -> Any:
        """Scalar bool tensor: whether the start from data still goes on."""
        return ops.less(self.start_step, float(self.kmeans_steps))

    def count_start_step(self) -> Any:
        if self.kmeans_steps:
            step = ops.minimum(self.start_step + 1.0, float(self.kmeans_steps))
            self.start_step.assign(step)

    def draw_revived(self, uses: Any) -> Any:
        """Vectors for dead codes, (K, C), mostly latents far from any."""
        return draw_vectors(
            [(use.z, use.distances) for use in uses],
            self.num_codes,
            self.seed_generator,
        )

    def sum_latents(self, z: Any, codes: Any) -> Any:
        """Sums (K, C) of the latents (N, C) of each code, over replicas."""
        return replicas.all_reduce_sum(
            ops.segment_sum(z, codes, num_segments=self.num_codes)
        )
