"""The MNIST64 task: colored digits at five places, with captions."""

from keras_bidalle.tasks.mnist64.accuracy import (
    caption_accuracy,
    image_accuracy,
)
from keras_bidalle.tasks.mnist64.caption_table import (
    CaptionTable,
    grammar_tokenizer,
)
from keras_bidalle.tasks.mnist64.digits import Items, load_items
from keras_bidalle.tasks.mnist64.evaluation import (
    MNIST64Images,
    MNIST64Judge,
    item_extractor,
)
from keras_bidalle.tasks.mnist64.grammar import CaptionGrammar, caption_grammar
from keras_bidalle.tasks.mnist64.item_classifier import (
    DenseItemClassifier,
    ItemClassifier,
    item_classifier_accuracy,
    train_item_classifier,
)
from keras_bidalle.tasks.mnist64.options import add_options, recipe_of
from keras_bidalle.tasks.mnist64.pictures import (
    MNIST64,
    MNIST64Batch,
    held_out_combinations,
    item_crops,
)
from keras_bidalle.tasks.mnist64.recipe import Recipe
from keras_bidalle.tasks.mnist64.report import (
    both_directions_report,
    tokenizer_report,
)
from keras_bidalle.tasks.mnist64.task import MNIST64Task

__all__ = [
    "CaptionGrammar",
    "CaptionTable",
    "DenseItemClassifier",
    "ItemClassifier",
    "Items",
    "MNIST64",
    "MNIST64Batch",
    "MNIST64Images",
    "MNIST64Judge",
    "MNIST64Task",
    "Recipe",
    "add_options",
    "both_directions_report",
    "caption_accuracy",
    "caption_grammar",
    "grammar_tokenizer",
    "held_out_combinations",
    "image_accuracy",
    "item_classifier_accuracy",
    "item_crops",
    "item_extractor",
    "load_items",
    "recipe_of",
    "tokenizer_report",
    "train_item_classifier",
]
