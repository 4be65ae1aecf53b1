"""A codebook of running means whose unused codes start again, as in RQ-VAE."""

from typing import Any

import keras
from keras import ops

from keras_bidalle.backend import replicas
from keras_bidalle.quantizers.averaged_codebook import AveragedCodebook
from keras_bidalle.quantizers.drawing import draw_vectors
from keras_bidalle.validation import check_at_least

# Of the noise that tells copies of one latent apart, times sqrt(code_dim).
_NOISE = 0.01


@keras.saving.register_keras_serializable(package="keras_bidalle")
class RestartingVectorQuantizer(AveragedCodebook):
    """Running means with the restarts that RQ-VAE was published with.

    After each update, a code whose running count is below `revival_count` is
    replaced by a random latent of the batch, and its count set to 1. No two
    codes get the same latent: a batch with fewer latents than there are
    codes is repeated, with a little noise. A codebook that several residual
    depths share is updated, and its codes revived, once for each depth, from
    what that depth quantizes.

    A new codebook has counts of zero, so its first batch is its start.

    Differs from `EMAVectorQuantizer`, which moves only codes far rarer than
    the mean, to where a code is missed most. Here a code must be chosen
    about once a batch to live: choose batches with more latents than codes.

    Args:
        num_codes: int, the size K of the codebook.
        code_dim: int, the length C of a code vector.
        revival_count: float, a running count.
        **kwargs: as in `EMAVectorQuantizer`, with `kmeans_steps=0`.

    Reference:
        [Autoregressive Image Generation using Residual
        Quantization](https://arxiv.org/abs/2203.01941) and its program,
        https://github.com/kakaobrain/rq-vae-transformer.
    """

    old_names = {
        **AveragedCodebook.old_names,
        "restart_below": "revival_count",
    }

    def __init__(
        self,
        num_codes: int,
        code_dim: int,
        revival_count: float = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(num_codes, code_dim, **kwargs)
        check_at_least(revival_count=revival_count)
        self.revival_count = revival_count

    def learn(self, uses: Any) -> Any:
        sizes, sums = self.averaged(uses)
        unused = sizes < self.revival_count
        sums = ops.where(unused[:, None], self._draw(uses[-1].z), sums)
        sizes = ops.where(unused, 1.0, sizes)
        self.write_statistics(self.means(sizes, sums), sizes, sums)

    def end_step(self, uses: Any) -> Any:
        self.learn(uses)
        self.count_start_step()

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
