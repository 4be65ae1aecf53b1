"""Quantizers: Keras layers that turn latents into codes and back."""

from keras_bidalle.quantizers.distances import (
    CosineDistance,
    Distance,
    L2Distance,
)
from keras_bidalle.quantizers.orthogonal_regularizer import (
    OrthogonalRegularizer,
)
from keras_bidalle.quantizers.orthogonal_vector_quantizer import (
    OrthogonalVectorQuantizer,
)
from keras_bidalle.quantizers.quantizer import Quantizer
from keras_bidalle.quantizers.vector_quantizer import VectorQuantizer

__all__ = [
    "CosineDistance",
    "Distance",
    "L2Distance",
    "OrthogonalRegularizer",
    "OrthogonalVectorQuantizer",
    "Quantizer",
    "VectorQuantizer",
]
