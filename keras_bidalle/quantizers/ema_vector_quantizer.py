"""Vector quantization with a codebook of running means."""

import keras
from keras import ops

from keras_bidalle.backend import replicas
from keras_bidalle.quantizers.codebook_quantizer import CodebookQuantizer
from keras_bidalle.quantizers.quantizer import count_codes
from keras_bidalle.validation import check_at_least


@keras.saving.register_keras_serializable(package="keras_bidalle")
class EMAVectorQuantizer(CodebookQuantizer):
    """Replaces each latent by the nearest code, a running mean of latents.

    No gradient moves the codebook. In each training step, over the batches of
    all replicas together, with n_k latents that chose code k and s_k their
    sum:

        N_k = decay * N_k + (1 - decay) * n_k
        m_k = decay * m_k + (1 - decay) * s_k
        e_k = m_k / N'_k,  N'_k = (N_k + epsilon) / (N + K epsilon) * N

    with N the sum of the N_k (Laplace smoothing). The loss is the commitment
    loss alone, `beta * mean((sg[e] - z)^2)`.

    Codes that are hardly chosen are moved to latents of the batch, mostly to
    those far from all codes, and start again with a count of their own.

    Args:
        num_codes: int, the size K of the codebook.
        code_dim: int, the length C of a code.
        decay: float in [0, 1).
        epsilon: float, of the Laplace smoothing.
        beta: float, the weight of the commitment loss.
        distance: `"l2"`, `"cosine"` or a `Distance`.
        codebook_initializer: Keras initializer, by default standard normal.
        kmeans_steps: int, training steps of the start from data; 0 for none.
        revival_threshold: float. A code is dead when its running count N_k
            falls below this share of the mean over the codes; 0 for no
            revival. Low enough that a rare but needed code lives on.
        seed: int or `None`, for the draws.

    Call arguments:
        z: float tensor (B, ..., C).
        training: bool or `None`. The codebook moves only if `True`.

    Returns:
        Tensor (B, ..., C), straight-through.

    Raises:
        ValueError: if an argument is out of its range, or the latents do not
            have `code_dim` channels.

    Example:

    ```python
    quantizer = keras_bidalle.quantizers.EMAVectorQuantizer(512, 16)
    latents = keras.random.normal((8, 16, 16, 16))
    quantized = quantizer(latents, training=True)  # moves the codebook
    ```

    Reference:
        [Neural Discrete Representation
        Learning](https://arxiv.org/abs/1711.00937), Appendix A.1; the
        revival as in [Autoregressive Image Generation using Residual
        Quantization](https://arxiv.org/abs/2203.01941), with odds by
        distance.
    """

    def __init__(
        self,
        num_codes,
        code_dim,
        decay=0.99,
        epsilon=1e-5,
        beta=0.25,
        distance="l2",
        codebook_initializer=None,
        kmeans_steps=10,
        revival_threshold=0.01,
        seed=None,
        **kwargs,
    ):
        super().__init__(
            num_codes,
            code_dim,
            beta=beta,
            distance=distance,
            kmeans_steps=kmeans_steps,
            seed=seed,
            **kwargs,
        )
        check_at_least(decay=decay)
        if decay >= 1:
            raise ValueError(
                f"`decay` must lie in [0, 1). Received: decay={decay}"
            )
        check_at_least(epsilon=epsilon)
        check_at_least(revival_threshold=revival_threshold)
        self.decay = decay
        self.epsilon = epsilon
        self.codebook_initializer = keras.initializers.get(codebook_initializer)
        self.revival_threshold = revival_threshold

    def build(self, input_shape):
        super().build(input_shape)
        shape = (self.num_codes, self.code_dim)
        self.embedding = self.add_state(
            "embedding",
            shape,
            self.codebook_initializer
            or keras.initializers.RandomNormal(stddev=1.0, seed=self.seed),
        )
        # Both from zero: their quotient is then right from the first step.
        self.cluster_size = self.add_state(
            "cluster_size", (self.num_codes,), "zeros"
        )
        self.embed_sum = self.add_state("embed_sum", shape, "zeros")

    @property
    def codebook(self):
        return ops.convert_to_tensor(self.embedding)

    def write_codes(self, codes):
        self.embedding.assign(codes)

    def assign_codebook(self, codes):
        super().assign_codebook(codes)
        self.cluster_size.assign(ops.ones((self.num_codes,), "float32"))
        self.embed_sum.assign(self.embedding)

    def learn(self, z, codes, step, first=True):
        keep, gain = self.decay, 1.0 - self.decay
        if self.kmeans_steps:
            # A Lloyd iteration: the means of this step's latents alone.
            starting = self.is_starting()
            keep = ops.where(starting, 0.0 if first else 1.0, keep)
            gain = ops.where(starting, 1.0, gain)
        sizes, sums = self.averaged(z, codes, keep, gain)
        moved = self.means(sizes, sums)
        if step is not None and (self.kmeans_steps or self.revival_threshold):
            floor = self.revival_threshold * ops.mean(sizes)
            dead = sizes < floor
            if self.kmeans_steps:
                dead = ops.where(starting, ops.equal(sizes, 0.0), dead)
            drawn = self.draw_codes(step)
            # The one latent that it is made from, and not dead at once.
            revived_size = ops.maximum(floor, 1.0)
            moved = ops.where(dead[:, None], drawn, moved)
            sums = ops.where(dead[:, None], drawn * revived_size, sums)
            sizes = ops.where(dead, revived_size, sizes)
            self.count_start_step()
        self.write_statistics(moved, sizes, sums)

    def averaged(self, z, codes, keep, gain):
        """The statistics with a batch in them, over all replicas.

        Args:
            z: float32 tensor (N, C).
            codes: int32 tensor (N,).
            keep: float or scalar tensor, the weight of what was.
            gain: float or scalar tensor, the weight of the batch.

        Returns:
            Tuple of the counts (K,) and the sums (K, C).
        """
        counts = count_codes(codes, self.num_codes)
        sums = replicas.all_reduce_sum(
            ops.segment_sum(z, codes, num_segments=self.num_codes)
        )
        return (
            keep * self.cluster_size + gain * counts,
            keep * self.embed_sum + gain * sums,
        )

    def means(self, sizes, sums):
        """The codes (K, C) that counts (K,) and sums (K, C) give."""
        means = sums / ops.maximum(self.smoothed(sizes), 1e-20)[:, None]
        # A code that never won anything has no mean yet.
        return ops.where((sizes > 0.0)[:, None], means, self.codebook)

    def write_statistics(self, codes, sizes, sums):
        self.write_codes(codes)
        self.cluster_size.assign(sizes)
        self.embed_sum.assign(sums)

    def smoothed(self, sizes):
        """Laplace smoothing of the counts (K,), which keeps their sum."""
        total = ops.sum(sizes)
        smoothing = self.num_codes * self.epsilon
        return (sizes + self.epsilon) / (total + smoothing) * total

    def get_config(self):
        config = super().get_config()
        config.update(
            decay=self.decay,
            epsilon=self.epsilon,
            codebook_initializer=keras.initializers.serialize(
                self.codebook_initializer
            ),
            revival_threshold=self.revival_threshold,
        )
        return config
