"""The made-up emoji, for the tests of their task."""

import pytest
from made_emoji import make_emoji

from keras_bidalle.captions import CaptionTokenizer
from keras_bidalle.tasks import emoji
from keras_bidalle.tasks.emoji.captions import vocabulary_lines


@pytest.fixture(scope="session")
def emoji_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("emoji")
    make_emoji(folder)
    return folder


@pytest.fixture(scope="session")
def splits(emoji_folder):
    return emoji.load_emoji(emoji_folder)


@pytest.fixture(scope="session")
def tokenizer(splits):
    lines = vocabulary_lines(splits["train"].rows)
    return CaptionTokenizer.from_captions(lines, 300, 32)
