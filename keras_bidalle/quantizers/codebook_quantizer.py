"""What all quantizers with one searched codebook share.

Nearest-code search, a start from data, and the revival of dead codes. How
the codebook itself moves (by gradients, by averages) is the subclass's.
"""

import keras
from keras import ops

from keras_bidalle.backend.extremes import argmin
from keras_bidalle.backend.lookup import lookup
from keras_bidalle.quantizers import distances
from keras_bidalle.quantizers.drawing import draw_vectors
from keras_bidalle.quantizers.quantizer import Quantizer, straight_through
from keras_bidalle.validation import check_at_least


def mean_square(x):
    return ops.mean(ops.square(x))


class CodebookQuantizer(Quantizer):
    """Base of the quantizers that search one codebook for the nearest code.

    With `kmeans_steps`, the codebook starts from data: in the first training
    step its codes are latents drawn from the batch, and for that many steps
    each code becomes the mean of the latents it won (one Lloyd iteration a
    step, so that the start costs nothing and follows the encoder), while
    codes that won nothing are drawn anew. These and revived codes are
    latents of the batch drawn with odds proportional to their squared
    distance from the codebook, as in k-means++.

    Subclasses implement `codebook`, `write_codes`, `learn` and
    `codebook_loss`.

    Args:
        num_codes: int, the size K of the codebook.
        code_dim: int, the length C of a code.
        beta: float, the weight of the commitment loss.
        distance: `"l2"`, `"cosine"` or a `Distance`.
        kmeans_steps: int, training steps of the start from data; 0 for none.
        seed: int or `None`, for the draws.
    """

    def __init__(
        self,
        num_codes,
        code_dim,
        beta=0.25,
        distance="l2",
        kmeans_steps=0,
        seed=None,
        **kwargs,
    ):
        super().__init__(num_codes, code_dim, **kwargs)
        check_at_least(beta=beta)
        check_at_least(kmeans_steps=kmeans_steps)
        self.beta = beta
        self.distance = distances.get(distance)
        self.kmeans_steps = int(kmeans_steps)
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    @property
    def codebook(self):
        """The codes as they are now, float32 tensor (K, C)."""
        raise NotImplementedError

    def write_codes(self, codes):
        """Puts codes (K, C) in the codebook's place, within a step."""
        raise NotImplementedError

    def assign_codebook(self, codes):
        """Sets the codebook, between steps: from a checkpoint, say.

        Args:
            codes: float array (K, C).

        Raises:
            ValueError: on another shape.
        """
        self.ensure_built()
        codes = ops.cast(ops.convert_to_tensor(codes), "float32")
        expected = (self.num_codes, self.code_dim)
        if tuple(codes.shape) != expected:
            raise ValueError(
                f"`codes` must have shape (num_codes, code_dim)={expected}. "
                f"Received: shape={tuple(codes.shape)}"
            )
        if self.kmeans_steps:
            self.start_step.assign(float(self.kmeans_steps))
        self.write_codes(codes)

    def learn(self, z, codes, step, first=True):
        """Moves the statistics after a training batch.

        A codebook that serves several residual depths is called once for
        each.

        Args:
            z: float32 tensor (N, C), without gradients.
            codes: int32 tensor (N,), the codes chosen for `z`.
            step: list of all that the step quantized with this codebook,
                a tuple for each call: latents (N, C), their codes (N,) and
                their distances (N,) from them. `None` where the last call
                of the step is yet to come.
            first: bool, whether this is the first call of the step.
        """
        raise NotImplementedError

    def codebook_loss(self, z, quantized):
        """The loss that pulls the codes to `z`, or `None`."""
        return None

    def regularization_loss(self):
        """The loss on the codebook alone, or `None`."""
        return None

    def build(self, input_shape):
        super().build(input_shape)
        if self.kmeans_steps:
            # A float: int32 state lives on the host under TensorFlow.
            self.start_step = self.add_state("start_step", (), "zeros")

    def nearest(self, z):
        """Finds the nearest codes.

        Args:
            z: float32 tensor (N, C).

        Returns:
            Tuple of the int32 codes (N,) and their distances (N,), float32,
            without gradients.
        """
        codebook = ops.stop_gradient(self.codebook)
        all_distances = self.distance(ops.stop_gradient(z), codebook)
        codes = argmin(all_distances)
        return codes, ops.min(all_distances, axis=-1)

    def start(self, parts):
        """Replaces the codebook by latents in the first training step.

        Args:
            parts: list of float32 tensors (N, C), the step's latents.
        """
        if not self.kmeans_steps:
            return
        parts = [ops.stop_gradient(part) for part in parts]
        drawn = draw_vectors(
            [(part, ops.ones_like(part[:, 0])) for part in parts],
            self.num_codes,
            self.seed_generator,
        )
        # Not `ops.cond`: no variable may be assigned inside one under
        # tf.distribute.
        is_first = ops.equal(self.start_step, 0.0)
        self.write_codes(ops.where(is_first, drawn, self.codebook))

    def is_starting(self):
        """Scalar bool tensor: whether the start from data still goes on."""
        return ops.less(self.start_step, float(self.kmeans_steps))

    def count_start_step(self):
        if self.kmeans_steps:
            step = ops.minimum(self.start_step + 1.0, float(self.kmeans_steps))
            self.start_step.assign(step)

    def draw_codes(self, step):
        """New places for dead codes, (K, C), mostly latents far from any."""
        return draw_vectors(
            [(vectors, distance) for vectors, _, distance in step],
            self.num_codes,
            self.seed_generator,
        )

    def apply_codebook(self, z, training=None):
        flat = ops.reshape(z, (-1, self.code_dim))
        learning = training and self.trainable
        if learning:
            self.start([flat])
        codes, distance = self.nearest(flat)
        quantized = self.lookup(codes)
        self.add_loss(self.quantization_loss(flat, quantized))
        regularization = self.regularization_loss()
        if regularization is not None:
            self.add_loss(regularization)
        if learning:
            vectors = ops.stop_gradient(flat)
            self.learn(vectors, codes, step=[(vectors, codes, distance)])
        shape = ops.shape(z)
        quantized = ops.reshape(straight_through(flat, quantized), shape)
        return quantized, ops.reshape(codes, shape[:-1])

    def quantization_loss(self, z, quantized):
        """The commitment loss and the codebook's, a float32 scalar."""
        loss = self.beta * mean_square(z - ops.stop_gradient(quantized))
        codebook_loss = self.codebook_loss(z, quantized)
        return loss if codebook_loss is None else loss + codebook_loss

    def lookup(self, codes):
        """Code vectors (..., C) of int32 codes, with gradients."""
        return lookup(self.codebook, codes)

    def encode(self, z):
        self.ensure_built()
        z = self.as_latents(z)
        codes, _ = self.nearest(ops.reshape(z, (-1, self.code_dim)))
        return ops.reshape(codes, ops.shape(z)[:-1])

    def decode(self, codes):
        self.ensure_built()
        return self.lookup(self.as_codes(codes))

    def soft_codes(self, z, temperature=1.0):
        """Gives the odds of each code, by distance.

        `softmax(-distance(z, e) / temperature)` over the codes.

        Args:
            z: float tensor (B, ..., C).
            temperature: float, above 0.

        Returns:
            float32 tensor (B, ..., K), last dimension adding to 1.
        """
        self.ensure_built()
        z = self.as_latents(z)
        distance = self.distance(
            ops.reshape(z, (-1, self.code_dim)), self.codebook
        )
        odds = ops.softmax(-distance / temperature, axis=-1)
        return ops.reshape(odds, tuple(ops.shape(z)[:-1]) + (self.num_codes,))

    def get_config(self):
        config = super().get_config()
        config.update(
            beta=self.beta,
            distance=keras.saving.serialize_keras_object(self.distance),
            kmeans_steps=self.kmeans_steps,
            seed=self.seed,
        )
        return config
