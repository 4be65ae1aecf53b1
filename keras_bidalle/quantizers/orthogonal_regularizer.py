"""The regularizer that makes a codebook translation-equivariant."""

from typing import Any

import keras
from keras import ops

from keras_bidalle.arguments import kept_arguments
from keras_bidalle.quantizers.distances import unit_rows
from keras_bidalle.validation import (
    check_at_least,
    check_flag,
    check_positive_or_none,
)


@keras.saving.register_keras_serializable(package="keras_bidalle")
class OrthogonalRegularizer(keras.regularizers.Regularizer):
    """Penalises codes that are not orthogonal to each other.

    `coefficient / K^2 * ||E E^T - I||_F^2`, where the K rows of E are the
    codes, scaled to unit length. It is computed as
    `||E E^T||_F^2 - 2 ||E||_F^2 + K`, which needs no identity matrix, and
    with `||E^T E||_F`, which is the same number, where there are more codes
    than dimensions.

    Args:
        coefficient: float, lambda; 10 in the paper, 0 for none.
        normalize: bool. If `False`, the codes are taken as they are, which
            also pulls their lengths to 1.
        num_sampled_codes: int or `None`. If given, each step looks at that
            many codes drawn at random, for codebooks too large for all
            pairs; K above is then this number. The random state must be
            tracked by the layer that uses the regularizer, as the
            quantizers of this library do.
        seed: int or `None`, for the draw.

    Example:

    ```python
    quantizer = keras_bidalle.quantizers.VectorQuantizer(
        num_codes=128,
        code_dim=256,
        codebook_regularizer=OrthogonalRegularizer(10.0),
    )
    ```

    Reference:
        [Translation-equivariant Image Quantizer for Bi-directional
        Image-Text Generation](https://arxiv.org/abs/2112.00384), Eq. 2.
    """

    def __init__(
        self,
        coefficient: float = 10.0,
        normalize: bool = True,
        num_sampled_codes: Any = None,
        seed: Any = None,
    ) -> None:
        check_at_least(coefficient=coefficient)
        check_flag(normalize=normalize)
        check_positive_or_none(num_sampled_codes=num_sampled_codes)
        self.coefficient = coefficient
        self.normalize = normalize
        self.num_sampled_codes = num_sampled_codes
        self.seed = seed
        self.seed_generator = (
            keras.random.SeedGenerator(seed) if num_sampled_codes else None
        )

    def __call__(self, x):
        codes = ops.cast(x, "float32")
        num_sampled = self.num_sampled_codes
        if num_sampled and num_sampled < codes.shape[0]:
            order = keras.random.shuffle(
                ops.arange(codes.shape[0], dtype="int32"),
                seed=self.seed_generator,
            )
            codes = ops.take(codes, order[:num_sampled], axis=0)
        if self.normalize:
            codes = unit_rows(codes)
        num_codes, code_dim = codes.shape
        transposed = ops.transpose(codes)
        if num_codes <= code_dim:
            gram = ops.matmul(codes, transposed)  # (K, K)
        else:
            gram = ops.matmul(transposed, codes)  # (C, C)
        penalty = (
            ops.sum(ops.square(gram))
            - 2.0 * ops.sum(ops.square(codes))
            + num_codes
        )
        return self.coefficient / num_codes**2 * penalty

    def get_config(self) -> Any:
        return kept_arguments(self)
