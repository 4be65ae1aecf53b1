import numpy as np
import pytest

from keras_bidalle.tasks.mnist64 import caption_grammar
from keras_bidalle.tasks.mnist64.grammar import COLORS

pytestmark = pytest.mark.any_backend

DATASETS = ["mnist", "fashion_mnist"]
COMMON = set(
    "the is on and this left right top upper bottom lower "
    "blue green red white , .".split()
)


def every_clause():
    return [
        (location, color, item)
        for location in range(5)
        for color in range(4)
        for item in range(10)
    ]


def test_words_are_the_published_inventory():
    assert set(caption_grammar("mnist").words) == COMMON | {
        "number",
        *map(str, range(10)),
    }
    assert set(caption_grammar("fashion_mnist").words) == COMMON | set(
        "item tshirt trouser pullover dress coat sandal shirt sneaker bag "
        "ankle boot".split()
    )


@pytest.mark.parametrize("dataset", DATASETS)
def test_every_clause_in_every_phrasing_is_read_back(dataset):
    grammar = caption_grammar(dataset)
    for clause in every_clause():
        for phrase in range(len(grammar.phrases[clause[0]])):
            text = grammar.clause(clause, phrase)
            assert grammar.parse(text + " .") == [clause], text


@pytest.mark.parametrize("dataset", DATASETS)
def test_rendered_captions_are_read_back(dataset):
    grammar = caption_grammar(dataset)
    rng = np.random.default_rng(0)
    for _ in range(200):
        count = rng.integers(1, 5)
        locations = rng.permutation(np.arange(1, 5))[:count]
        clauses = [
            (int(at), int(rng.integers(4)), int(rng.integers(10)))
            for at in locations
        ]
        rows = np.asarray([clauses])
        phrases = grammar.sample_phrases(rows, rng)
        (text,) = grammar.captions(rows, phrases)
        assert grammar.parse(text) == clauses
        assert text == text.lower()
        assert text.endswith(" .")
        assert text.count(" , ") == count - 1
        assert text.count(" , and ") == (count > 1)


def test_captions_join_clauses_with_comma_and_last_and():
    grammar = caption_grammar()
    clauses = np.asarray([[(1, 1, 4), (2, 2, 0), (4, 3, 9), (-1, -1, -1)]])
    (text,) = grammar.captions(clauses, np.asarray([[0, 3, 5, 0]]))
    assert text == (
        "red 4 on the upper left , the top right is green 0 , "
        "and the blue 9 is bottom right ."
    )


def test_shares_of_the_phrasings_are_as_inferred():
    grammar = caption_grammar()
    rng = np.random.default_rng(0)
    clauses = np.full((20000, 4, 3), -1)
    clauses[:, :2] = rng.integers(0, (5, 4, 10), (20000, 2, 3))
    phrases = grammar.sample_phrases(clauses, rng)
    texts = [
        grammar.clause(clause, phrase)
        for clause, phrase in zip(
            clauses[:, :2].reshape(-1, 3), phrases[:, :2].ravel(), strict=True
        )
        if clause[0] > 0
    ]
    with_on = np.mean([" on " in text for text in texts])
    assert abs(with_on - 0.58) < 0.02
    top = sum("top" in text for text in texts)
    upper = sum("upper" in text for text in texts)
    assert abs(top / (top + upper) - 0.5) < 0.02


def test_the_example_of_the_design_is_a_caption():
    grammar = caption_grammar()
    assert grammar.parse("red 3 on the upper left .") == [(1, 1, 3)]
    assert grammar.parse("Red 3 on the upper left.") == [(1, 1, 3)]
    assert grammar.parse("red 3 .") == [(0, 1, 3)]


def test_tshirt_and_shirt_are_kept_apart_and_ankle_boot_is_two_words():
    grammar = caption_grammar("fashion_mnist")
    text = "red tshirt on the top left , and blue shirt on the bottom left ."
    assert grammar.parse(text) == [(1, 1, 0), (3, 3, 6)]
    assert grammar.parse("this is green ankle boot .") == [(0, 2, 9)]
    assert grammar.parse("this is green boot .") == []


@pytest.mark.parametrize(
    "text, expected",
    [
        ("", []),
        (" . , and . ,", []),
        ("red 3", [(0, 1, 3)]),
        ("red on the upper left .", []),
        ("3 on the upper left , blue 4 on the lower right", [(4, 3, 4)]),
        ("red 3 on the upper .", []),
        ("red 3 on the upper lower left .", []),
        ("red blue 3 on the upper left .", []),
        ("red 3 4 on the upper left .", []),
        ("red 33 on the upper left .", []),
        ("red red 3 3 is is upper top left", [(1, 1, 3)]),
        ("red 3 upper left and blue 4 top right", [(1, 1, 3), (2, 3, 4)]),
        ("red 3 upper left , red 3 upper left", [(1, 1, 3), (1, 1, 3)]),
        ("[UNK] \x00 ĳ \n", []),
    ],
)
def test_broken_text_gives_what_can_be_read(text, expected):
    assert caption_grammar().parse(text) == expected


def test_an_unknown_data_set_is_refused():
    with pytest.raises(ValueError, match="dataset='kmnist'"):
        caption_grammar("kmnist")


def test_colors_are_in_the_published_order():
    assert COLORS == ("white", "red", "green", "blue")
