"""Emoji of several vendors with their names: pictures, captions, a judge."""

from keras_bidalle.tasks.emoji.pictures import (
    SPLITS,
    Emoji,
    EmojiPictures,
    load_emoji,
)
from keras_bidalle.tasks.emoji.recipe import SIZES, Recipe
from keras_bidalle.tasks.emoji.task import EmojiTask

__all__ = [
    "SPLITS",
    "Emoji",
    "EmojiPictures",
    "EmojiTask",
    "Recipe",
    "SIZES",
    "load_emoji",
]
