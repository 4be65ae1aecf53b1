"""What the demo page offers to be drawn: captions and styles, by model."""

import re

from keras_bidalle.tasks.emoji.captions import styled

EMOJI = (
    "red heart",
    "pizza",
    "rocket",
    "octopus",
    "sunflower",
    "rainbow",
    "soccer ball",
    "teddy bear",
    "birthday cake",
    "grinning face",
    "dog face",
    "purple circle",
    "three-thirty",
    "flag: Japan",
    "thumbs up: medium skin tone",
    "waving hand: dark skin tone",
    "woman firefighter: medium-dark skin tone",
    "man astronaut: light skin tone",
    "person surfing: medium-light skin tone",
    "woman scientist: dark skin tone",
    "man cook: medium skin tone",
    "woman mage: medium-light skin tone",
)
MNIST64 = (
    "red 3 on the upper left .",
    "the number is green 7 .",
    "blue 5 on the lower right , and white 2 on the upper left .",
    "this is white 0 .",
    "the top right is red 6 .",
    "green 8 on the bottom left , and the top left is blue 1 .",
)
# The first group that a model knows is offered.
GROUPS = (EMOJI, MNIST64)
VENDORS = ("noto", "twemoji", "fluent")
# A byte pair encoding spells any word. One from its own captions is one
# piece, seldom two; another one is nearly as many as it has letters.
PIECES = 1.6
_WORDS = re.compile(r"\w+|[^\w\s]")


def knows(tokenizer, captions):
    """Whether captions are made of words that a model has been told.

    Args:
        tokenizer: `keras_bidalle.captions.CaptionTokenizer`.
        captions: list of str.
    """
    if not all(map(tokenizer.takes, captions)):
        return False
    pieces = sum(len(tokenizer.tokens_of(caption)) for caption in captions)
    words = sum(len(_WORDS.findall(caption)) for caption in captions)
    return pieces <= PIECES * words


def examples_for(tokenizer):
    """The captions of the first group that a model knows: list of str."""
    known = (group for group in GROUPS if knows(tokenizer, group))
    return list(next(known, ()))


def styles_for(tokenizer):
    """The styles that a model draws when it is asked to: list of str."""
    known = knows(tokenizer, [styled("", vendor) for vendor in VENDORS])
    return list(VENDORS) if known else []
