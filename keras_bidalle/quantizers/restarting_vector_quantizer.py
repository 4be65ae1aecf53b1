"""A codebook of running means whose unused codes start again, as in RQ-VAE."""

import keras
from keras import ops

from keras_bidalle.backend import replicas
from keras_bidalle.quantizers.drawing import draw_vectors
from keras_bidalle.quantizers.ema_vector_quantizer import EMAVectorQuantizer
from keras_bidalle.validation import check_at_least

# Of the noise that tells copies of one latent apart, times sqrt(code_dim).
_NOISE = 0.01


@keras.saving.register_keras_serializable(package="keras_bidalle")
class RestartingVectorQuantizer(EMAVectorQuantizer):
    """An `EMAVectorQuantizer` with the restarts that RQ-VAE was published with.

    After each update, a code whose running count is below `restart_below` is
    replaced by a random latent of the batch, and its count set to 1. No two
    codes get the same latent: a batch with fewer latents than there are
    codes is repeated, with a little noise. A codebook that several residual
    depths share is updated, and restarted, once for each depth, from what
    that depth quantizes.

    A new codebook has counts of zero, so its first batch is its start.

    Differs from `EMAVectorQuantizer`, which moves only codes far rarer than
    the mean, to where a code is missed most. Here a code must be chosen
    about once a batch to live: choose batches with more latents than codes.

    Args:
        num_codes: int, the size K of the codebook.
        code_dim: int, the length C of a code.
        decay: float in [0, 1).
        epsilon: float, of the Laplace smoothing.
        beta: float, the weight of the commitment loss.
        distance: `"l2"`, `"cosine"` or a `Distance`.
        codebook_initializer: Keras initializer, by default standard normal.
        restart_below: float, a running count.
        seed: int or `None`, for the draws.

    Call arguments:
        z: float tensor (B, ..., C).
        training: bool or `None`. The codebook moves only if `True`.

    Returns:
        Tensor (B, ..., C), straight-through.

    Reference:
        [Autoregressive Image Generation using Residual
        Quantization](https://arxiv.org/abs/2203.01941) and its program,
        https://github.com/kakaobrain/rq-vae-transformer.
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
        restart_below=1.0,
        seed=None,
        **kwargs,
    ):
        super().__init__(
            num_codes,
            code_dim,
            decay=decay,
            epsilon=epsilon,
            beta=beta,
            distance=distance,
            codebook_initializer=codebook_initializer,
            kmeans_steps=0,
            revival_threshold=0.0,
            seed=seed,
            **kwargs,
        )
        check_at_least(restart_below=restart_below)
        self.restart_below = restart_below

    def learn(self, z, codes, step, first=True):
        sizes, sums = self.averaged(z, codes, self.decay, 1.0 - self.decay)
        unused = sizes < self.restart_below
        sums = ops.where(unused[:, None], self._draw(z), sums)
        sizes = ops.where(unused, 1.0, sizes)
        self.write_statistics(self.means(sizes, sums), sizes, sums)

    def _draw(self, z):
        ones = ops.ones_like(z[:, 0])
        drawn = draw_vectors([(z, ones)], self.num_codes, self.seed_generator)
        noise = keras.random.uniform(
            (self.num_codes, self.code_dim),
            maxval=_NOISE * self.code_dim**-0.5,
            dtype="float32",
            seed=self.seed_generator,
        )
        latents = replicas.all_reduce_sum(ops.sum(ones))
        repeats = ops.cast(latents < self.num_codes, "float32")
        return drawn + repeats * noise

    def get_config(self):
        config = super().get_config()
        del config["kmeans_steps"], config["revival_threshold"]
        config["restart_below"] = self.restart_below
        return config
