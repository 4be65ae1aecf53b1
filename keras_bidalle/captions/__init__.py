"""Text: the caption tokenizer, and the grammar of the MNIST64 task."""

from keras_bidalle.captions.caption_table import CaptionTable, grammar_tokenizer
from keras_bidalle.captions.caption_tokenizer import CaptionTokenizer
from keras_bidalle.captions.grammar import CaptionGrammar, caption_grammar

__all__ = [
    "CaptionGrammar",
    "CaptionTable",
    "CaptionTokenizer",
    "caption_grammar",
    "grammar_tokenizer",
]
