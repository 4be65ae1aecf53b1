"""Captions in a graph are read and written as `CaptionTokenizer` does."""

import re

import keras
import numpy as np
import pytest

from keras_bidalle.captions import CaptionTokenizer
from keras_bidalle.tasks.mnist64 import caption_grammar, grammar_tokenizer

if keras.config.backend() != "tensorflow":
    pytest.skip("serving graphs are TensorFlow's own", allow_module_level=True)

import tensorflow as tf

from keras_bidalle.serving.prompts import Prompts

WORDS = grammar_tokenizer(caption_grammar("mnist"))
TEXT = (
    "the quick brown fox jumps over the lazy dog, and the dog's friend (a "
    "newer, lower, widest newest one) isn't quick. Schöne Grüße über Ärger "
    "naïve café 3.14 snake_case"
)
PAIRS = CaptionTokenizer.from_captions(
    [TEXT] * 3, vocabulary_size=120, max_length=60
)


def graph(tokenizer):
    prompts = Prompts(tokenizer)
    encode = tf.function(
        prompts.encode,
        input_signature=[tf.TensorSpec([None], tf.string)],
        autograph=False,
    )
    decode = tf.function(
        prompts.decode,
        input_signature=[tf.TensorSpec([None, None], tf.int32)],
        autograph=False,
    )
    return encode, decode


@pytest.fixture(scope="module")
def words():
    return graph(WORDS)


@pytest.fixture(scope="module")
def pairs():
    return graph(PAIRS)


def assert_same_tokens(graphs, tokenizer, captions):
    encode, decode = graphs
    ids = tokenizer.encode(captions)
    found = encode(tf.constant(captions))
    np.testing.assert_array_equal(found, ids)
    texts = [text.decode() for text in decode(found).numpy()]
    assert texts == tokenizer.decode(ids)
    return ids, texts


def test_words_become_the_same_tokens(words):
    captions = [
        "red 3 on the upper left .",
        "RED 3 on the Upper left.",
        " the  number\tis\ngreen 7 . ",
        "red 3 on the upper left,blue 0 on the lower right.",
        "the number\u00a0is\u2003green 7.",
    ]
    assert_same_tokens(words, WORDS, captions)


def test_byte_pairs_become_the_same_tokens(pairs):
    rng = np.random.default_rng(0)
    letters = list("theolwrqukicnsdgf")
    captions = [
        "The QUICK brown fox",
        "newest lowest; isn't".replace(";", ","),
        "Grüße, GRÜSSE über CAFÉ",
        "a",
        "snake_case 3.14",
        "dog's",
        # Words that end like one of those it was made of.
        *("".join(rng.choice(letters, 24)) + "est, the" for _ in range(20)),
    ]
    ids, _ = assert_same_tokens(pairs, PAIRS, captions)
    # Words of several tokens, or the merges would not be tested.
    assert (ids != PAIRS.pad_id).sum(axis=1).max() > 12


def test_typed_forms_become_the_same_tokens(pairs):
    encode, _ = pairs
    captions = [
        "the dog\u2019s friend",
        "cafe\u0301, cafe\u0301 and u\u0308ber",
        "\uff34\uff28\uff25 \uff11\uff14",
        "A\u0308rger (gru\u0308\u00dfe) isn\u00b4t",
        "3.14 , the dog . fox(lazy)dog",
        "o\ufb03 the \u2460",
    ]
    _, texts = assert_same_tokens(pairs, PAIRS, captions[:-2])
    assert texts[0] == "the dog's friend"
    for caption in (captions[-1], "a \uffed b", "the \u25a0"):
        with pytest.raises(ValueError, match="outside the vocabulary"):
            PAIRS.encode([caption])
        with pytest.raises(tf.errors.InvalidArgumentError, match="outside"):
            encode(tf.constant([caption]))


def test_quotes_and_marks_of_the_captions_are_kept():
    it = CaptionTokenizer.from_captions(
        ["\u201cfree of charge\u201d", "te\u0302\u0301t n\u0303 \uac00"], 90, 40
    )
    encode, decode = graph(it)
    captions = ['"free of" charge', "t\u1ebft \u00f1", "\u1100\u1161"]
    ids = it.encode(captions)
    np.testing.assert_array_equal(encode(tf.constant(captions)), ids)
    expected = ["\u201cfree of\u201d charge", "t\u1ebft \u00f1", "\uac00"]
    assert it.decode(ids) == expected
    assert [text.decode() for text in decode(ids).numpy()] == expected


def test_any_ids_are_read_the_same(words, pairs):
    rng = np.random.default_rng(1)
    for tokenizer, (_, decode) in ((WORDS, words), (PAIRS, pairs)):
        ids = rng.integers(0, tokenizer.vocabulary_size, (12, 9))
        ids = ids.astype("int32")
        ids[0] = tokenizer.end_id
        texts = [text.decode() for text in decode(ids).numpy()]
        assert texts == tokenizer.decode(ids)


@pytest.mark.parametrize(
    "caption,message",
    [
        ("", "must not be empty"),
        (" \n\u2003", "must not be empty"),
        ("a purple cow", "outside the vocabulary.*purple"),
        ("red [PAD] 3", "outside the vocabulary"),
        (" , ".join(["red 3 on the upper left"] * 9), "at most 29 tokens"),
        ("red " * 2500, "at most 4096 bytes"),
        (b"red \xff 3", "(?i)invalid"),
    ],
)
def test_what_the_tokenizer_refuses_is_refused(words, caption, message):
    encode, _ = words
    good = "red 3 on the upper left ."
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        encode(tf.constant([good, caption]))
    np.testing.assert_array_equal(
        encode(tf.constant([good])), WORDS.encode([good])
    )


@pytest.mark.parametrize(
    "caption,message",
    [
        ("the żaba", "outside the vocabulary.*żaba"),
        ("the [SEP] dog", "outside the vocabulary"),
        ("q" * 80 + "e", "at most 58 tokens"),
    ],
)
def test_byte_pairs_are_refused_as_the_tokenizer_refuses(
    pairs, caption, message
):
    with pytest.raises(ValueError):
        PAIRS.encode([caption])
    with pytest.raises(tf.errors.InvalidArgumentError) as error:
        pairs[0](tf.constant([caption]))
    # The library writes other letters than ASCII as their bytes.
    told = error.value.message.encode().decode("unicode_escape")
    told = told.encode("latin-1").decode()
    assert re.search(message, told)


@pytest.mark.parametrize(
    "caption", ["x" * 3000, "\x1b[31m" * 500, "\u2603" * 900, "[PAD]" * 800]
)
def test_a_refusal_is_one_short_printable_line(words, pairs, caption):
    for encode, _ in (words, pairs):
        with pytest.raises(tf.errors.InvalidArgumentError) as error:
            encode(tf.constant([caption]))
        # Python adds where in the graph it was.
        (told,) = re.findall("assertion failed: .*", error.value.message)
        assert "`prompt` " in told and told.isprintable()
        assert len(told) <= 300


def test_a_null_does_not_cut_a_caption(words, pairs):
    for tokenizer, (encode, _) in ((WORDS, words), (PAIRS, pairs)):
        for caption in ("red 3\0", "\0", "red 3\0 on the moon"):
            with pytest.raises(ValueError):
                tokenizer.encode([caption])
            with pytest.raises(tf.errors.InvalidArgumentError, match="null"):
                encode(tf.constant(["red 3", caption]))


def test_a_pipeline_with_other_steps_is_refused():
    other = CaptionTokenizer(
        WORDS.tokenizer_json.replace("Lowercase", "NFD"), 31
    )
    with pytest.raises(ValueError, match="another normalizer"):
        Prompts(other)
