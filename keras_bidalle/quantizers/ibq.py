"""Index backpropagation: gradients reach every code, not the chosen alone."""

from typing import Any

import keras
from keras import ops

from keras_bidalle.backend import replicas
from keras_bidalle.messages import shown
from keras_bidalle.quantizers.code_odds import code_odds
from keras_bidalle.quantizers.distances import DotProduct
from keras_bidalle.quantizers.hard_quantizer import mean_square
from keras_bidalle.quantizers.row_chunks import row_chunks
from keras_bidalle.quantizers.vector_quantizer import VectorQuantizer
from keras_bidalle.validation import check_at_least


@keras.saving.register_keras_serializable(package="keras_bidalle")
class IBQ(VectorQuantizer):
    """Chooses the largest of the logits z . e, and trains all codes by them.

    With p = softmax(z E^T), e the chosen code vector and hard its one-hot,
    the output is `q = (hard - sg[p] + p) E`: the values of e, with the
    gradients of the mixture. The loss is

        mean((q - z)^2) + commitment_weight * mean((z - sg[e])^2)
        + codebook_weight * mean((e - sg[z])^2)
        + entropy_weight * (mean H(p_t) - H(mean p_t))

    with p_t the softmax of the logits over `temperature`. Memory is bounded:
    large codebooks are gone through in parts, computed again for gradients.

    Args:
        num_codes: int, the size K of the codebook.
        code_dim: int, the length C of a code vector.
        commitment_weight: float.
        codebook_weight: float.
        entropy_weight: float.
        temperature: float, above 0, of the entropies.
        **kwargs: the other arguments of `VectorQuantizer`, but `distance` and
            `gradient`.

    Reference:
        [Scalable Image Tokenization with Index Backpropagation
        Quantization](https://arxiv.org/abs/2412.02692), section 3.2, and its
        program, https://github.com/TencentARC/SEED-Voken.
    """

    kept_as = {"distance": None, "gradient": None}

    def __init__(
        self,
        num_codes: int,
        code_dim: int,
        commitment_weight: float = 1.0,
        codebook_weight: float = 0.25,
        entropy_weight: float = 0.05,
        temperature: float = 0.01,
        **kwargs: Any,
    ) -> None:
        for name in ("distance", "gradient"):
            if name in kwargs:
                raise ValueError(
                    f"`{name}` must be left out: IBQ chooses by products and "
                    "has the gradients of the mixture. "
                    f"Received: {name}={shown(kwargs[name])}"
                )
        super().__init__(
            num_codes,
            code_dim,
            commitment_weight=commitment_weight,
            codebook_weight=codebook_weight,
            distance=DotProduct(),
            **kwargs,
        )
        check_at_least(entropy_weight=entropy_weight)
        check_at_least(1e-6, temperature=temperature)
        self.entropy_weight = entropy_weight
        self.temperature = temperature

    def passed_on(self, z: Any, quantized: Any, training: Any) -> Any:
        codebook = self.codebook
        parts = [
            code_odds(part, codebook, self.temperature)
            for part in row_chunks(z, self.num_codes)
        ]
        mixtures, entropies, sums = zip(*parts, strict=True)
        mixture = ops.concatenate(list(mixtures))
        # The values of the code vectors, the gradients of the mixture.
        output = quantized + mixture - ops.stop_gradient(mixture)
        loss = mean_square(output - z) + self.quantization_loss(z, quantized)
        count = ops.cast(ops.shape(z)[0], "float32")
        shares = replicas.all_reduce_mean(sum(sums) / count)
        evenness = -ops.sum(shares * ops.log(shares + 1e-5))
        entropy = sum(entropies) / count - evenness
        return output, loss + self.entropy_weight * entropy
