"""Vector quantization with a codebook of running means."""

from typing import Any

import keras
from keras import ops

from keras_bidalle.quantizers.averaged_codebook import AveragedCodebook
from keras_bidalle.validation import check_at_least


@keras.saving.register_keras_serializable(package="keras_bidalle")
class EMAVectorQuantizer(AveragedCodebook):
    """Replaces each latent by the nearest code, a running mean of latents.

    No gradient moves the codebook. In each training step, over the batches of
    all replicas together, with n_k latents that chose code k and s_k their
    sum:

        N_k = decay * N_k + (1 - decay) * n_k
        m_k = decay * m_k + (1 - decay) * s_k
        e_k = m_k / N'_k,  N'_k = (N_k + epsilon) / (N + K epsilon) * N

    with N the sum of the N_k (Laplace smoothing). The loss is the commitment
    loss alone, `commitment_weight * mean((sg[e] - z)^2)`.

    Codes that are hardly chosen are moved to latents of the batch, mostly to
    those far from all codes, and start again with a count of their own.

    Args:
        num_codes: int, the size K of the codebook.
        code_dim: int, the length C of a code vector.
        revival_share: float. A code is dead when its running count N_k falls
            below this share of the mean over the codes; 0 for no revival.
            Low enough that a rare but needed code lives on.
        kmeans_steps: int, training steps of the start from data; 0 for none.
        **kwargs: `decay=0.99` and `epsilon=1e-5`, and as in
            `CodebookQuantizer`: `commitment_weight=0.25`, `distance="l2"`,
            `codebook_initializer`, `seed`, `gradient`.

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

    old_names = {
        **AveragedCodebook.old_names,
        "revival_threshold": "revival_share",
    }

    def __init__(
        self,
        num_codes: int,
        code_dim: int,
        revival_share: float = 0.01,
        kmeans_steps: int = 10,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            num_codes, code_dim, kmeans_steps=kmeans_steps, **kwargs
        )
        check_at_least(revival_share=revival_share)
        self.revival_share = revival_share

    def learn(self, uses: Any) -> Any:
        sizes, sums = self.averaged(uses)
        self.write_statistics(self.means(sizes, sums), sizes, sums)

    def end_step(self, uses: Any) -> Any:
        sizes, sums = self.averaged(uses)
        vectors = self.means(sizes, sums)
        if self.kmeans_steps or self.revival_share:
            floor = self.revival_share * ops.mean(sizes)
            dead = sizes < floor
            if self.kmeans_steps:
                unused = ops.equal(sizes, 0.0)
                dead = ops.where(self.is_starting(), unused, dead)
            drawn = self.draw_revived(uses)
            # The one latent that it is made from, and not dead at once.
            revived_size = ops.maximum(floor, 1.0)
            vectors = ops.where(dead[:, None], drawn, vectors)
            sums = ops.where(dead[:, None], drawn * revived_size, sums)
            sizes = ops.where(dead, revived_size, sizes)
            self.count_start_step()
        self.write_statistics(vectors, sizes, sums)
