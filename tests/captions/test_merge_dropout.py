"""Captions with BPE-dropout: seeded, spelt otherwise, and still the same."""

import json

import keras
import numpy as np
import pytest
import tokenizers

from keras_bidalle.captions import CaptionTokenizer
from keras_bidalle.captions.merge_dropout import MergeDropout

pytestmark = pytest.mark.any_backend

CAPTIONS = [
    "a small yellow flower on the upper left, and a yellow one below.",
    "the lower right has a flower that is red and small.",
]


@pytest.fixture(scope="module")
def it():
    return CaptionTokenizer.from_captions(CAPTIONS * 3, 120, max_length=90)


def test_without_dropout_nothing_changes(it):
    np.testing.assert_array_equal(
        it.encode(CAPTIONS, dropout=0.0, seed=1), it.encode(CAPTIONS)
    )


def test_captions_come_in_other_pieces_but_read_the_same(it):
    plain = it.encode(CAPTIONS)
    dropped = it.encode(CAPTIONS, dropout=0.3, seed=0)
    assert dropped.dtype == np.int32 and dropped.shape == plain.shape
    assert (dropped != plain).any(axis=1).all()
    assert (dropped != it.pad_id).sum() > (plain != it.pad_id).sum()
    assert it.decode(dropped) == it.decode(plain)


def test_the_seed_decides(it):
    first = it.encode(CAPTIONS, dropout=0.3, seed=7)
    np.testing.assert_array_equal(
        it.encode(CAPTIONS, dropout=0.3, seed=7), first
    )
    assert (it.encode(CAPTIONS, dropout=0.3, seed=8) != first).any()
    # A row does not depend on the others.
    np.testing.assert_array_equal(
        it.encode(CAPTIONS[:1], dropout=0.3, seed=7), first[:1]
    )
    # Two rows of one caption are drawn apart.
    twice = it.encode(CAPTIONS[:1] * 2, dropout=0.3, seed=7)
    assert (twice[0] != twice[1]).any()
    draws = [it.encode(CAPTIONS, dropout=0.5) for _ in range(3)]
    assert (draws[0] != draws[1]).any() or (draws[0] != draws[2]).any()


def test_all_merges_left_out_gives_characters(it):
    ids = it.encode("small flower", dropout=1, seed=0)
    letters = len("small") + len("flower")
    assert (ids != it.pad_id).sum() == letters + 2


def test_a_merge_is_left_out_with_the_given_odds():
    ours = MergeDropout(
        json.dumps(
            {
                "model": {
                    "type": "BPE",
                    "vocab": {"a": 0, "b": 1, "ab": 2},
                    "merges": ["a b"],
                }
            }
        )
    )
    rng = np.random.default_rng(0)
    ids = ours([["ab"]] * 4000, 0.1, rng)
    assert ids.count(2) / 4000 == pytest.approx(0.9, abs=0.02)
    assert ids.count(2) + ids.count(0) == 4000


class Never:
    """A generator that leaves out nothing, whatever the rate."""

    def random(self, count):
        return np.ones(count)


def byte_level():
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel()
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    return tokenizer, {
        "initial_alphabet": tokenizers.pre_tokenizers.ByteLevel.alphabet()
    }


def with_prefix():
    prefix = "##"
    tokenizer = tokenizers.Tokenizer(
        tokenizers.models.BPE(continuing_subword_prefix=prefix)
    )
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    return tokenizer, {"continuing_subword_prefix": prefix}


@pytest.mark.parametrize("make", [byte_level, with_prefix])
def test_merging_anew_without_gaps_is_the_librarys_encoding(make):
    tokenizer, options = make()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=400, show_progress=False, **options
    )
    tokenizer.train_from_iterator(CAPTIONS * 3, trainer)
    ours = MergeDropout(tokenizer.to_str())
    for text in (*CAPTIONS, "flowers yellowish smallest throw"):
        encoding = tokenizer.encode(text)
        words = {}
        for word, token in zip(encoding.word_ids, encoding.tokens, strict=True):
            words.setdefault(word, []).append(token)
        words = list(words.values())
        assert ours(words, 0.5, Never()) == encoding.ids
        characters = ours(words, 1.0, np.random.default_rng(0))
        pieces = [tokenizer.id_to_token(i) for i in characters]
        assert max(len(piece.removeprefix("##")) for piece in pieces) == 1


def test_what_no_longer_fits_is_encoded_without_dropout():
    many = CaptionTokenizer.from_captions(CAPTIONS * 3, 200, max_length=90)
    used = int((many.encode(CAPTIONS[0]) != many.pad_id).sum())
    tight = CaptionTokenizer(many.tokenizer_json, max_length=used)
    plain = tight.encode(CAPTIONS[0])
    np.testing.assert_array_equal(
        tight.encode(CAPTIONS[0], dropout=1.0, seed=0), plain
    )


def test_dropout_in_a_tokenizers_file_is_ignored(it):
    content = json.loads(it.tokenizer_json)
    content["model"]["dropout"] = 0.9
    again = CaptionTokenizer(json.dumps(content), it.max_length)
    np.testing.assert_array_equal(again.encode(CAPTIONS), it.encode(CAPTIONS))
    config = keras.saving.serialize_keras_object(again)
    twin = keras.saving.deserialize_keras_object(config)
    np.testing.assert_array_equal(
        twin.encode(CAPTIONS, dropout=0.3, seed=3),
        it.encode(CAPTIONS, dropout=0.3, seed=3),
    )


def test_only_byte_pairs_have_merges():
    words = CaptionTokenizer.from_words(["red", "3"], max_length=6)
    with pytest.raises(ValueError, match="byte pair encoding.*'WordLevel'"):
        words.encode("red 3", dropout=0.1)
    np.testing.assert_array_equal(
        words.encode("red 3", dropout=0), words.encode("red 3")
    )


@pytest.mark.parametrize("dropout", [-0.1, 1.5, "0.1", None])
def test_dropout_must_be_a_share(it, dropout):
    with pytest.raises(ValueError, match="`dropout` must be a number between"):
        it.encode(CAPTIONS, dropout=dropout)


def test_errors_are_those_of_plain_encoding(it):
    with pytest.raises(ValueError, match="outside the vocabulary"):
        it.encode("#", dropout=0.5)
    with pytest.raises(ValueError, match="empty"):
        it.encode(" ", dropout=0.5)
