"""Captions and vocabularies that are none: told in one short line."""

import json

import pytest

from keras_bidalle.captions import CaptionTokenizer

pytestmark = pytest.mark.any_backend

TOKENIZER = CaptionTokenizer.from_words(["red", "3", "."], max_length=8)
PAIRS = CaptionTokenizer.from_captions(["red 3", "green 4"], 60, 20)


def told(error):
    message = str(error)
    assert message.isprintable() and len(message) <= 300, message
    return message


CAPTIONS = {
    "half a character": "\ud800",
    "a word of a million letters": "x" * 10**6,
    "a word of unknown letters": "\u00e9" * 60_000,
    "unknown words": "x " * 10**4,
    "escapes": "\x1b[31m\x00 " * 10**3,
    "too many words": "red " * 10**4,
    "turned round": "\u202ered",
    "bytes": b"x" * 10**6,
    "a list": ["x" * 100] * 10**4,
    "none": None,
}


@pytest.mark.parametrize("name", CAPTIONS)
@pytest.mark.parametrize("tokenizer", [TOKENIZER, PAIRS])
def test_what_is_no_caption_is_told_shortly(name, tokenizer):
    caption = CAPTIONS[name]
    error = ValueError if isinstance(caption, str) else TypeError
    with pytest.raises(error, match=r"captions\[1\]") as raised:
        tokenizer.encode(["red 3", caption])
    told(raised.value)


def test_the_first_unknown_words_are_named():
    with pytest.raises(ValueError) as raised:
        TOKENIZER.encode(["red a b c d e"])
    assert told(raised.value) == (
        "`captions[0]` has words outside the vocabulary: 'a' at character 4, "
        "'b' at character 6, 'c' at character 8, 'd' at character 10 and "
        "more. Received: 'red a b c d e'"
    )


def test_captions_that_are_none_are_a_type_error():
    for captions in (5, None, 0.5):
        with pytest.raises(TypeError, match="must be str or a list of str"):
            TOKENIZER.encode(captions)


def changed(**parts):
    content = json.loads(TOKENIZER.tokenizer_json)
    content["model"]["vocab"].update(parts.pop("words", {}))
    return json.dumps({**content, **parts})


@pytest.mark.parametrize(
    "text",
    [
        changed(words={"far": 2**32 - 1}),
        # What the library panics on.
        changed(normalizer={"type": "Precompiled", "precompiled_charsmap": ""}),
        changed(model={"type": "BPE", "vocab": {}, "merges": [["a", "b"]]}),
        "\x1b[31m" * 10**5,
        "[" * 10**5,
        "",
        None,
    ],
)
def test_a_vocabulary_that_is_none_is_told_and_takes_no_memory(text):
    with pytest.raises(ValueError, match="`tokenizer_json` must") as raised:
        CaptionTokenizer(text, max_length=8)
    told(raised.value)


def test_a_vocabulary_may_leave_out_ids():
    tokenizer = CaptionTokenizer(changed(words={"far": 500}), max_length=8)
    assert tokenizer.vocabulary_size == 501
    assert {300, 499, tokenizer.pad_id} <= tokenizer.special_ids
    assert tokenizer.decode(tokenizer.encode(["far red"])) == ["far red"]


def test_what_the_library_panics_on_is_told_of_the_caption():
    pattern = {"Regex": "(a+)+$"}
    slow = {"type": "Replace", "pattern": pattern, "content": ""}
    tokenizer = CaptionTokenizer(changed(normalizer=slow), max_length=8)
    with pytest.raises(ValueError, match=r"`captions\[0\]` must be") as raised:
        tokenizer.encode(["a" * 40 + "b"])
    told(raised.value)
