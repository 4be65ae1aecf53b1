"""Bidirectional image-text generation with discrete image tokens in Keras 3."""

from keras_bidalle import (
    captions,
    configurations,
    converters,
    data,
    generators,
    image_tokenizers,
    losses,
    metrics,
    quantizers,
    training,
)
from keras_bidalle.presets import load, preset_names
from keras_bidalle.text_image_model import TextImageModel
from keras_bidalle.version import __version__

__all__ = [
    "TextImageModel",
    "__version__",
    "captions",
    "configurations",
    "converters",
    "data",
    "generators",
    "image_tokenizers",
    "load",
    "losses",
    "metrics",
    "preset_names",
    "quantizers",
    "training",
]
