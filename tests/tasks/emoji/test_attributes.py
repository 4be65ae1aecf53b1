"""What a name says of an emoji, and what can be asked of it."""

import pytest

from keras_bidalle.tasks.emoji import Emoji
from keras_bidalle.tasks.emoji.attributes import (
    Attributes,
    KnownEmoji,
    attributes_of,
)

pytestmark = pytest.mark.any_backend


@pytest.fixture(scope="module")
def known(splits):
    return KnownEmoji(row for own in splits.values() for row in own.rows)


@pytest.mark.parametrize(
    ("cell", "values"),
    [
        ("woman 3", {"gender": "woman", "tone": "3"}),
        ("man-man 1-5", {"gender": "man-man", "tone": "1-5"}),
        ("person 0", {"gender": "person", "tone": "0"}),
        ("light blue", {"color": "light blue"}),
        ("two 30", {"hour": "two 30"}),
    ],
)
def test_a_cell_tells_the_attributes(cell, values):
    row = Emoji("noto/1.png", "train", "noto", "A name", "1f", cell, "")
    assert attributes_of(row) == Attributes("a name", "1f", **values)


def test_only_what_varies_is_asked(known):
    by_name = known.by_name
    assert known.asked(by_name["man cook"]) == (
        *("name", "concept", "gender", "tone"),
    )
    assert known.asked(by_name["red square"]) == ("name", "concept", "color")
    assert known.asked(by_name["one - thirty"]) == ("name", "concept", "hour")
    assert known.asked(by_name["ghost"]) == ("name", "concept")


def test_a_known_name_is_understood_whatever_its_style(known):
    found = known.understood("Woman cook: medium-dark skin tone, noto style")
    assert (found.concept, found.tone, found.gender) == ("cook", "4", "woman")
    assert known.understood("one o'clock").hour == "one 00"


@pytest.mark.parametrize(
    ("text", "tone", "gender"),
    [
        ("woman pilot: dark skin tone", "5", "woman"),
        ("man pilot : medium - light skin tone", "2", "man"),
        ("pilot", "0", "person"),
        ("men: light skin tone, medium skin tone", "1-3", "man-man"),
        ("", "0", "person"),
    ],
)
def test_of_an_unknown_name_the_words_count(known, text, tone, gender):
    found = known.understood(text)
    assert (found.tone, found.gender) == (tone, gender)
    assert found.concept is None
