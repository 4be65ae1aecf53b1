"""Measures: of an image tokenizer, and of both directions of a generator."""

from keras_bidalle.metrics.psnr import PSNR, psnr
from keras_bidalle.metrics.translation_equivariance import (
    codebook_statistics,
    translation_equivariance,
)

__all__ = [
    "PSNR",
    "codebook_statistics",
    "psnr",
    "translation_equivariance",
]
