"""Scores of captions, worked by hand."""

import math

import numpy as np
import pytest

from keras_bidalle.metrics import (
    bleu,
    caption_words,
    cider_d,
    exact_match,
    rouge_l,
)

pytestmark = pytest.mark.any_backend


def test_words():
    assert caption_words("A Dog's \"ball\", isn't it?") == (
        ["a", "dog", "'s", "ball", "is", "n't", "it"]
    )
    assert caption_words("3.5 well-known T.V.s .") == (
        ["3.5", "well-known", "t.v.s"]
    )
    assert caption_words(" . , ") == []


def test_bleu_by_hand():
    found = bleu(["the cat sat on mat"], [["the cat sat on the mat"]])
    # 5/5 words, 3/4 pairs, 2/3 triples, 1/2 fours; 5 words for 6.
    penalty = math.exp(1 - 6 / 5)
    precisions = np.cumprod([1, 3 / 4, 2 / 3, 1 / 2])
    expected = penalty * precisions ** (1 / np.arange(1, 5))
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_a_word_counts_as_often_as_one_reference_has_it():
    found = bleu(["the the the the"], ["the cat is on the mat now"])
    penalty = math.exp(1 - 7 / 4)
    np.testing.assert_allclose(found[0], penalty * 2 / 4, rtol=1e-6)


def test_rouge_l_by_hand():
    (found,) = rouge_l(["the cat sat here"], [["the big cat sat"]])
    # The common subsequence is "the cat sat": 3/4 of both.
    np.testing.assert_allclose(found, 3 / 4)
    (found,) = rouge_l(["a b"], [["a x x x", "b a b c"]])
    precision, recall, weight = 2 / 2, 2 / 4, 1.44
    np.testing.assert_allclose(
        found,
        (1 + weight) * precision * recall / (recall + weight * precision),
    )


def test_a_caption_that_is_its_reference_has_the_full_cider():
    texts = ["a red bird sings", "two green boats sail away", "blue sky"]
    found = cider_d(texts, texts)
    # The last has two words, hence no three and four.
    np.testing.assert_allclose(found, [10.0, 10.0, 5.0])
    np.testing.assert_allclose(cider_d(texts[:1], texts[:1]), 0.0)


def test_cider_by_hand():
    # Words "a" and "b" are in one of two reference sets: weight log 2 each.
    found = cider_d(["a b a", "c d"], [["a b"], ["c d"]])
    # Words: (min(2, 1) 1 + 1 1) / (sqrt(5) sqrt(2)); pairs: of "a b" and
    # "b a" one is shared. The lengths, in pairs, differ by one.
    words, pairs = 2 / math.sqrt(10), 1 / math.sqrt(2)
    penalty = math.exp(-1 / 72)
    expected = 10 * (words + pairs) / 4 * penalty
    np.testing.assert_allclose(found, [expected, 5.0])


def test_exact_matches_are_of_words():
    found = exact_match(["A cat.", "dog"], [["a dog", "a cat"], ["dogs"]])
    np.testing.assert_array_equal(found, [1.0, 0.0])


@pytest.mark.parametrize("score", [bleu, rouge_l, cider_d, exact_match])
def test_an_empty_caption_is_worth_nothing(score):
    np.testing.assert_allclose(score([""], [["a cat"]]), 0.0, atol=1e-9)
    with pytest.raises(ValueError, match="as many"):
        score(["a"], [])
    with pytest.raises(ValueError, match=r"`references\[0\]`"):
        score(["a"], [[]])
