"""Text: the caption tokenizer, names of classes, the grammar of MNIST64."""

from keras_bidalle.captions.caption_tokenizer import CaptionTokenizer
from keras_bidalle.captions.class_names import ClassNames

__all__ = [
    "CaptionTokenizer",
    "ClassNames",
]
