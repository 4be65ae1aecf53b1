"""Figures of images, of captions and of image tokenizers, whatever the data.

Distances between sets of features are here; the networks that make features
are in `keras_bidalle.metrics.extractors`.
"""

from keras_bidalle.metrics.bootstrap import bootstrap_spread
from keras_bidalle.metrics.caption_words import caption_words
from keras_bidalle.metrics.captions import (
    bleu,
    cider_d,
    exact_match,
    rouge_l,
)
from keras_bidalle.metrics.frechet import FeatureStatistics, frechet_distance
from keras_bidalle.metrics.inception_score import inception_score
from keras_bidalle.metrics.kernel import kernel_distance
from keras_bidalle.metrics.neighbors import density_coverage, precision_recall
from keras_bidalle.metrics.perceptual import LPIPS
from keras_bidalle.metrics.psnr import PSNR, psnr
from keras_bidalle.metrics.ssim import SSIM, ssim
from keras_bidalle.metrics.translation_equivariance import (
    codebook_statistics,
    translation_equivariance,
)

__all__ = [
    "FeatureStatistics",
    "LPIPS",
    "PSNR",
    "SSIM",
    "bleu",
    "bootstrap_spread",
    "caption_words",
    "cider_d",
    "codebook_statistics",
    "density_coverage",
    "exact_match",
    "frechet_distance",
    "inception_score",
    "kernel_distance",
    "precision_recall",
    "psnr",
    "rouge_l",
    "ssim",
    "translation_equivariance",
]
