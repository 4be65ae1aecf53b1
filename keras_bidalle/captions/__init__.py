"""Text: the caption tokenizer, and the grammar of the MNIST64 task."""

from keras_bidalle.captions.caption_tokenizer import CaptionTokenizer

__all__ = [
    "CaptionTokenizer",
]
