"""Networks that make features of images, with their preprocessing and name."""

from keras_bidalle.metrics.extractors.clip import CLIP
from keras_bidalle.metrics.extractors.efficientnet_lite0 import (
    efficientnet_lite0,
)
from keras_bidalle.metrics.extractors.extractor import Extractor, Features
from keras_bidalle.metrics.extractors.fid_inception import fid_inception
from keras_bidalle.metrics.extractors.resizing import RESIZES, resized
from keras_bidalle.metrics.extractors.tokenizer_encoder import (
    tokenizer_encoder,
)

__all__ = [
    "CLIP",
    "RESIZES",
    "Extractor",
    "Features",
    "efficientnet_lite0",
    "fid_inception",
    "resized",
    "tokenizer_encoder",
]
