"""Measures: of an image tokenizer, and of both directions of a generator."""

from keras_bidalle.metrics.caption_accuracy import caption_accuracy
from keras_bidalle.metrics.image_accuracy import image_accuracy
from keras_bidalle.metrics.item_classifier import (
    ItemClassifier,
    item_classifier_accuracy,
    train_item_classifier,
)
from keras_bidalle.metrics.mnist64_report import (
    both_directions_report,
    tokenizer_report,
)
from keras_bidalle.metrics.psnr import PSNR, psnr
from keras_bidalle.metrics.translation_equivariance import (
    codebook_statistics,
    translation_equivariance,
)

__all__ = [
    "ItemClassifier",
    "PSNR",
    "both_directions_report",
    "caption_accuracy",
    "codebook_statistics",
    "image_accuracy",
    "item_classifier_accuracy",
    "psnr",
    "tokenizer_report",
    "train_item_classifier",
    "translation_equivariance",
]
