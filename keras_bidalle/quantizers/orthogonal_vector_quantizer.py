"""The translation-equivariant quantizer: learned codes kept orthogonal."""

from typing import Any

import keras

from keras_bidalle.quantizers.orthogonal_regularizer import (
    OrthogonalRegularizer,
)
from keras_bidalle.quantizers.vector_quantizer import VectorQuantizer
from keras_bidalle.validation import check_flag


@keras.saving.register_keras_serializable(package="keras_bidalle")
class OrthogonalVectorQuantizer(VectorQuantizer):
    """A `VectorQuantizer` whose codes are kept orthogonal to each other.

    Orthogonal codes are as far from each other as can be, so that the same
    content shifted in the image is less often given another code.
    Orthogonality is reached where K <= C.

    Args:
        num_codes: int, the size K of the codebook.
        code_dim: int, the length C of a code vector.
        orthogonality: float, lambda of the regularizer; 0 gives the plain
            `VectorQuantizer`.
        unit_length: bool. If `True`, the regularizer takes the code vectors
            as they are and so also pulls their lengths to 1.
        num_sampled_codes: int or `None`, as in `OrthogonalRegularizer`.
        **kwargs: the other arguments of `VectorQuantizer`.

    Example:

    ```python
    quantizer = keras_bidalle.quantizers.OrthogonalVectorQuantizer(128, 256)
    latents = quantizer(keras.random.normal((2, 16, 16, 256)))
    loss, orthogonal_loss = quantizer.losses
    ```
    """

    kept_as = {"codebook_regularizer": None}

    def __init__(
        self,
        num_codes: int,
        code_dim: int,
        orthogonality: float = 10.0,
        unit_length: bool = False,
        num_sampled_codes: int | None = None,
        **kwargs: Any,
    ) -> None:
        if "codebook_regularizer" in kwargs:
            raise ValueError(
                "`codebook_regularizer` is what OrthogonalVectorQuantizer "
                "sets; use VectorQuantizer with a regularizer of your own."
            )
        check_flag(unit_length=unit_length)
        regularizer = OrthogonalRegularizer(
            orthogonality,
            normalize=not unit_length,
            num_sampled_codes=num_sampled_codes,
            seed=kwargs.get("seed"),
        )
        super().__init__(
            num_codes,
            code_dim,
            codebook_regularizer=regularizer if orthogonality else None,
            **kwargs,
        )
        self.orthogonality = orthogonality
        self.unit_length = unit_length
        self.num_sampled_codes = num_sampled_codes
