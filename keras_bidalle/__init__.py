"""Bidirectional image-text generation with discrete image tokens in Keras 3."""

from keras_bidalle import captions
from keras_bidalle import data
from keras_bidalle import generators
from keras_bidalle import image_tokenizers
from keras_bidalle import losses
from keras_bidalle import metrics
from keras_bidalle import quantizers
from keras_bidalle import training
from keras_bidalle.presets import load
from keras_bidalle.text_image_model import TextImageModel
from keras_bidalle.version import __version__

__all__ = [
    "TextImageModel",
    "__version__",
    "captions",
    "data",
    "generators",
    "image_tokenizers",
    "load",
    "losses",
    "metrics",
    "quantizers",
    "training",
]
