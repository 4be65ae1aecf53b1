import numpy as np
import pytest

from keras_bidalle.captions import CaptionTokenizer
from keras_bidalle.tasks.mnist64 import (
    CaptionTable,
    caption_grammar,
    grammar_tokenizer,
)

pytestmark = pytest.mark.any_backend

DATASETS = ["mnist", "fashion_mnist"]


def random_clauses(size, seed=0):
    rng = np.random.default_rng(seed)
    clauses = np.full((size, 4, 3), -1, "int32")
    for row in clauses:
        count = rng.integers(1, 5)
        locations = rng.permutation(np.arange(1, 5))[:count]
        row[:count, 0] = locations if count > 1 else rng.integers(5)
        row[:count, 1] = rng.integers(4, size=count)
        row[:count, 2] = rng.integers(10, size=count)
    return clauses, rng


@pytest.mark.parametrize("dataset", DATASETS)
def test_table_gives_the_ids_of_the_written_captions(dataset):
    grammar = caption_grammar(dataset)
    tokenizer = grammar_tokenizer(grammar)
    table = CaptionTable(grammar, tokenizer)
    clauses, rng = random_clauses(300)
    phrases = grammar.sample_phrases(clauses, rng)
    captions = grammar.captions(clauses, phrases)
    ids = table(clauses, phrases)
    assert ids.dtype == np.int32
    np.testing.assert_array_equal(ids, tokenizer.encode(captions))
    assert tokenizer.decode(ids) == captions


def test_table_serves_a_byte_pair_tokenizer_too():
    grammar = caption_grammar("fashion_mnist")
    clauses, rng = random_clauses(200)
    phrases = grammar.sample_phrases(clauses, rng)
    captions = grammar.captions(clauses, phrases)
    tokenizer = CaptionTokenizer.from_captions(captions, 60, max_length=100)
    np.testing.assert_array_equal(
        CaptionTable(grammar, tokenizer)(clauses, phrases),
        tokenizer.encode(captions),
    )


@pytest.mark.parametrize("dataset", DATASETS)
def test_rows_are_exactly_as_long_as_the_longest_caption(dataset):
    grammar = caption_grammar(dataset)
    tokenizer = grammar_tokenizer(grammar)
    longest = [(location, 0, 9) for location in (1, 2, 3, 4)]
    text, *_ = grammar.captions(np.asarray([longest]), np.zeros((1, 4), int))
    assert len(text.split()) <= 36
    assert tokenizer.max_length == len(text.split()) + 2


def test_too_short_rows_are_refused():
    grammar = caption_grammar()
    tokenizer = CaptionTokenizer.from_words(grammar.words, max_length=30)
    with pytest.raises(ValueError, match="at least 31 .* max_length=30"):
        CaptionTable(grammar, tokenizer)


def test_a_tokenizer_without_the_words_is_refused():
    tokenizer = CaptionTokenizer.from_words(["red"], max_length=50)
    with pytest.raises(ValueError, match="'white'"):
        CaptionTable(caption_grammar(), tokenizer)
