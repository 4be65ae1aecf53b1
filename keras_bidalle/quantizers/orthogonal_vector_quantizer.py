"""The translation-equivariant quantizer: learned codes kept orthogonal."""

import keras

from keras_bidalle.quantizers.orthogonal_regularizer import (
    OrthogonalRegularizer,
)
from keras_bidalle.quantizers.vector_quantizer import VectorQuantizer


@keras.saving.register_keras_serializable(package="keras_bidalle")
class OrthogonalVectorQuantizer(VectorQuantizer):
    """A `VectorQuantizer` whose codes are kept orthogonal to each other.

    Orthogonal codes are as far from each other as can be, so that the same
    content shifted in the picture is less often given another code.
    Orthogonality is reached where K <= C.

    Args:
        num_codes: int, the size K of the codebook.
        code_dim: int, the length C of a code.
        orthogonality: float, lambda of the regulariser; 0 gives the plain
            `VectorQuantizer`.
        unit_length: bool. If `True`, the regulariser takes the codes as they
            are and so also pulls their lengths to 1.
        num_sampled_codes: int or `None`, how many codes the regulariser looks
            at in a step, for large codebooks; `None` for all.
        **kwargs: the other arguments of `VectorQuantizer`.

    Example:

    ```python
    quantizer = keras_bidalle.quantizers.OrthogonalVectorQuantizer(128, 256)
    latents = quantizer(keras.random.normal((2, 16, 16, 256)))
    loss, orthogonal_loss = quantizer.losses
    ```

    Reference:
        [Translation-equivariant Image Quantizer for Bi-directional
        Image-Text Generation](https://arxiv.org/abs/2112.00384), Eq. 2.
    """

    def __init__(
        self,
        num_codes,
        code_dim,
        orthogonality=10.0,
        unit_length=False,
        num_sampled_codes=None,
        **kwargs,
    ):
        if "codebook_regularizer" in kwargs:
            raise ValueError(
                "`codebook_regularizer` is what OrthogonalVectorQuantizer "
                "sets; use VectorQuantizer with a regularizer of your own."
            )
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

    def get_config(self):
        config = super().get_config()
        del config["codebook_regularizer"]
        config.update(
            orthogonality=self.orthogonality,
            unit_length=self.unit_length,
            num_sampled_codes=self.num_sampled_codes,
        )
        return config
