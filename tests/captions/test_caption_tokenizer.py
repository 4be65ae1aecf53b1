import json

import keras
import numpy as np
import pytest

from keras_bidalle.captions import CaptionTokenizer

pytestmark = pytest.mark.any_backend

WORDS = [",", ".", "3", "left", "on", "red", "the", "upper"]


def tokenizer(max_length=10):
    return CaptionTokenizer.from_words(WORDS, max_length)


def test_rows_are_cls_words_sep_pad():
    ids = tokenizer().encode(["red 3 .", "red 3 on the upper left ."])
    assert ids.dtype == np.int32
    np.testing.assert_array_equal(
        ids,
        [
            [1, 10, 7, 6, 2, 0, 0, 0, 0, 0],
            [1, 10, 7, 9, 11, 12, 8, 6, 2, 0],
        ],
    )


def test_special_ids_and_sizes_are_attributes():
    it = tokenizer()
    assert (it.pad_id, it.start_id, it.end_id, it.unknown_id) == (0, 1, 2, 3)
    assert it.vocabulary_size == 5 + len(WORDS)
    assert it.max_length == 10


def test_case_and_space_before_punctuation_do_not_matter():
    it = tokenizer()
    expected = it.encode("red 3 on the upper left .")
    for text in ("Red 3 on the upper left.", "  RED 3  on the\tupper left ."):
        np.testing.assert_array_equal(it.encode(text), expected)


def test_decoding_undoes_encoding_and_stops_at_the_first_sep():
    it = tokenizer()
    captions = ["red 3 .", "red 3 on the upper left ."]
    assert it.decode(it.encode(captions)) == captions
    assert it.decode([[1, 10, 7, 2, 8, 8, 2]]) == ["red 3"]
    assert it.decode([[10, 0, 7, 1, 4, 3, 6]]) == ["red 3 ."]
    assert it.decode([[2, 2, 2]]) == [""]
    assert it.decode(np.zeros((0, 5), "int32")) == []


def test_unknown_words_are_named_with_their_place():
    with pytest.raises(ValueError) as error:
        tokenizer().encode(["red 3 .", "red 3 on the yellow, magenta left."])
    message = str(error.value)
    assert "`captions[1]`" in message
    assert "'yellow' at character 13" in message
    assert "'magenta' at character 21" in message


def test_unknown_letters_are_named_as_whole_words_by_byte_pairs():
    it = CaptionTokenizer.from_captions(["red 3 ."] * 3, 30, max_length=10)
    with pytest.raises(ValueError, match="'redx' at character 2"):
        it.encode("3 redx .")


@pytest.mark.parametrize("token", ["[PAD]", "[SEP]", "[MASK]", "[UNK]"])
def test_special_tokens_are_not_words(token):
    with pytest.raises(ValueError, match="outside the vocabulary"):
        tokenizer().encode(f"red {token} 3")


@pytest.mark.parametrize("caption", ["", "   ", "\n"])
def test_empty_captions_are_refused(caption):
    with pytest.raises(ValueError, match=r"`captions\[1\]` is empty"):
        tokenizer().encode(["red .", caption])


def test_too_long_captions_are_refused_not_cut():
    assert tokenizer().encode("red " * 8).shape == (1, 10)
    with pytest.raises(ValueError, match="too long: 9 tokens, at most 8 fit"):
        tokenizer().encode("red " * 9)


def test_what_would_be_refused_can_be_asked():
    captions = ["red 3 .", "", "red " * 9, "cow"]
    taken = [tokenizer().takes(caption) for caption in captions]
    assert taken == [True, False, False, False]


def test_captions_must_be_strings():
    with pytest.raises(TypeError, match=r"captions\[0\]=3"):
        tokenizer().encode([3])


def test_ids_outside_the_vocabulary_are_refused():
    with pytest.raises(ValueError, match=r"\[0, 13\).*max=13"):
        tokenizer().decode([[1, 13]])
    with pytest.raises(ValueError, match="shape"):
        tokenizer().decode([1, 2])


CAPTIONS = [
    "woman firefighter: medium-dark skin tone",
    "A button (blood type)",
    "C\u00f4te d\u2019Ivoire",
    "Japanese \u201cfree of charge\u201d button",
    "man\u2019s hat , and more .",
    "keycap: #",
    "+1 ... [UNK]",
]


def test_captions_are_read_back_as_they_were_written():
    it = CaptionTokenizer.from_captions(CAPTIONS, 200, max_length=60)
    captions = CAPTIONS[:-1]
    assert it.decode(it.encode(captions)) == [c.lower() for c in captions]
    # The marks of what goes before and behind may stand anywhere.
    ids = np.random.default_rng(0).integers(0, it.vocabulary_size, (50, 12))
    assert all("\uffed" not in text for text in it.decode(ids))


def test_forms_that_are_typed_are_the_captions_own():
    it = CaptionTokenizer.from_captions(CAPTIONS, 200, max_length=60)
    for typed, own in {
        "Co\u0302te d'ivoire": CAPTIONS[2],
        "C\u00f4te d\u00b4Ivoire": CAPTIONS[2],
        'japanese "free of charge" button': CAPTIONS[3],
        "Man's  hat , and more .": CAPTIONS[4],
        "woman firefighter\uff1a medium\u2010dark \uff53kin tone": CAPTIONS[0],
    }.items():
        np.testing.assert_array_equal(it.encode(typed), it.encode(own))
    words = CaptionTokenizer.from_words(["cafe\u0301", "'", "s"], 9)
    np.testing.assert_array_equal(
        words.encode("Caf\u00e9\u2019s"), words.encode("cafe\u0301's")
    )


def test_a_vocabulary_is_the_same_each_time():
    rng = np.random.default_rng(0)
    words = ["".join(rng.choice(list("abcdefgh"), 5)) for _ in range(200)]
    captions = [" ".join(rng.choice(words, 4)) + "!" for _ in range(500)]
    found = {
        CaptionTokenizer.from_captions(captions, 300, 60).tokenizer_json
        for _ in range(4)
    }
    assert len(found) == 1


def test_a_vocabulary_holds_all_characters_or_is_refused():
    letters = "".join(chr(0x4E00 + i) for i in range(300))
    with pytest.raises(ValueError, match="`vocabulary_size` must be at least"):
        CaptionTokenizer.from_captions([letters], 100, 400)
    it = CaptionTokenizer.from_captions([letters], 306, 400)
    assert it.vocabulary_size == 306
    with pytest.raises(ValueError, match="`words` must be distinct"):
        CaptionTokenizer.from_words(["red", "red"], 5)


def test_letters_end_new_words_where_the_vocabulary_has_room():
    captions = ["the goose hides", "a hat"]
    roomy = CaptionTokenizer.from_captions(captions, 60, 12)
    assert roomy.decode(roomy.encode(["high"])) == ["high"]
    narrow = CaptionTokenizer.from_captions(captions, 30, 12)
    assert narrow.decode(narrow.encode(captions)) == captions
    with pytest.raises(ValueError, match="'high' at character 0"):
        narrow.encode(["high"])


def test_ids_that_no_word_has_are_never_words():
    content = json.loads(tokenizer().tokenizer_json)
    content["model"]["vocab"]["upper"] = 20
    it = CaptionTokenizer(json.dumps(content), 10)
    assert it.vocabulary_size == 21
    assert set(range(12, 20)) <= it.special_ids
    assert it.decode([[1, 20, 15, 10, 2]]) == ["upper red"]


def test_keras_config_round_trip():
    it = tokenizer()
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(it)))
    again = keras.saving.deserialize_keras_object(config)
    assert again.get_config() == it.get_config()
    text = "red 3 on the upper left ."
    np.testing.assert_array_equal(again.encode(text), it.encode(text))


def test_padding_and_truncation_of_a_file_are_ignored():
    content = json.loads(tokenizer().tokenizer_json)
    content["truncation"] = {
        "direction": "Right",
        "max_length": 3,
        "strategy": "LongestFirst",
        "stride": 0,
    }
    content["padding"] = {
        "strategy": {"Fixed": 7},
        "direction": "Right",
        "pad_to_multiple_of": None,
        "pad_id": 0,
        "pad_type_id": 0,
        "pad_token": "[PAD]",
    }
    it = CaptionTokenizer(json.dumps(content), max_length=10)
    text = "red 3 on the upper left ."
    np.testing.assert_array_equal(it.encode(text), tokenizer().encode(text))


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="`tokenizer_json` must be the JSON"):
        CaptionTokenizer("{}", 10)
    with pytest.raises(ValueError, match="max_length=2"):
        tokenizer(2)
    content = json.loads(tokenizer().tokenizer_json)
    del content["model"]["vocab"]["[SEP]"]
    with pytest.raises(ValueError, match=r"Missing: \[SEP\]"):
        CaptionTokenizer(json.dumps(content), 10)
