"""Quantizers: Keras layers that turn latents into codes and back."""

from keras_bidalle.quantizers.bsq import BSQ
from keras_bidalle.quantizers.codebook_quantizer import CodebookQuantizer
from keras_bidalle.quantizers.distances import (
    CosineDistance,
    Distance,
    DotProduct,
    L2Distance,
)
from keras_bidalle.quantizers.ema_vector_quantizer import EMAVectorQuantizer
from keras_bidalle.quantizers.fsq import FSQ
from keras_bidalle.quantizers.gradient_estimators import (
    DiVeQ,
    GradientEstimator,
    RotationTrick,
    StraightThrough,
)
from keras_bidalle.quantizers.gumbel_quantizer import GumbelQuantizer
from keras_bidalle.quantizers.hard_quantizer import HardQuantizer
from keras_bidalle.quantizers.ibq import IBQ
from keras_bidalle.quantizers.latent_patch_quantizer import (
    LatentPatchQuantizer,
)
from keras_bidalle.quantizers.lfq import LFQ
from keras_bidalle.quantizers.multi_level_quantizer import (
    LastLevelQuantizer,
    MultiLevelQuantizer,
)
from keras_bidalle.quantizers.orthogonal_regularizer import (
    OrthogonalRegularizer,
)
from keras_bidalle.quantizers.orthogonal_vector_quantizer import (
    OrthogonalVectorQuantizer,
)
from keras_bidalle.quantizers.quantizer import Quantizer
from keras_bidalle.quantizers.residual_quantizer import ResidualQuantizer
from keras_bidalle.quantizers.restarting_vector_quantizer import (
    RestartingVectorQuantizer,
)
from keras_bidalle.quantizers.sim_vq import SimVQ
from keras_bidalle.quantizers.vector_quantizer import VectorQuantizer

__all__ = [
    "BSQ",
    "CodebookQuantizer",
    "CosineDistance",
    "DiVeQ",
    "Distance",
    "DotProduct",
    "EMAVectorQuantizer",
    "FSQ",
    "GradientEstimator",
    "GumbelQuantizer",
    "HardQuantizer",
    "IBQ",
    "L2Distance",
    "LFQ",
    "LastLevelQuantizer",
    "LatentPatchQuantizer",
    "MultiLevelQuantizer",
    "OrthogonalRegularizer",
    "OrthogonalVectorQuantizer",
    "Quantizer",
    "ResidualQuantizer",
    "RestartingVectorQuantizer",
    "RotationTrick",
    "SimVQ",
    "StraightThrough",
    "VectorQuantizer",
]
