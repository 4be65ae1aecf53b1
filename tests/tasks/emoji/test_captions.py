"""What is said of an emoji, and what a generator is trained on."""

import dataclasses

import numpy as np
import pytest

from keras_bidalle.captions import CaptionTokenizer
from keras_bidalle.tasks.emoji.captions import (
    EmojiCaptions,
    plain,
    styled,
    vocabulary_lines,
)

pytestmark = pytest.mark.any_backend


@pytest.fixture(scope="module")
def rows(splits):
    return splits["train"].rows


@pytest.fixture(scope="module")
def captions(tokenizer, rows):
    codes = np.arange(len(rows))[:, None, None] * np.ones((1, 2, 2), int)
    return EmojiCaptions(tokenizer, rows, codes, [], None)


def test_a_caption_is_the_same_however_it_is_written(tokenizer):
    name = "Woman cook: medium-dark skin tone"
    assert plain(name) == "woman cook : medium - dark skin tone"
    assert plain("One O’clock") == plain("one o'clock")
    assert plain(styled(name, "noto")) == plain(name)
    for text in (name, styled(name, "noto")):
        (read,) = tokenizer.decode(tokenizer.encode([text]))
        assert plain(read) == plain(name)


def test_whatever_a_keyboard_has_can_be_written(tokenizer):
    printable = "".join(chr(code) for code in range(33, 127))
    assert tokenizer.tokens_of(printable)


def test_a_sign_of_the_keywords_can_be_written_wherever_it_stands(rows):
    # Here it only begins a word, as it does in what is learned from.
    marked = [dataclasses.replace(rows[0], keywords="\u2713, tick"), *rows[1:]]
    tokenizer = CaptionTokenizer.from_captions(
        vocabulary_lines(marked), 300, 32
    )
    for caption in ("\u2713, tick", "tick, \u2713", "a\u2713b \u2713"):
        assert tokenizer.takes(caption)


def test_what_cannot_be_written_is_not_drawn_from(captions, rows):
    marked = EmojiCaptions(
        captions.caption_tokenizer,
        [
            dataclasses.replace(row, keywords="\u2713, \u2713 \u2713")
            for row in rows
        ],
        captions.codes,
        [],
        None,
    )
    every = np.arange(len(rows)).repeat(20)
    tokens = marked.caption_tokens(every, np.random.default_rng(0))
    assert tokens.shape == (len(every), 32)


def test_a_name_too_long_for_a_row_is_told(rows):
    short = CaptionTokenizer.from_captions(vocabulary_lines(rows), 300, 8)
    with pytest.raises(ValueError, match="too long"):
        EmojiCaptions(short, rows, np.zeros((len(rows), 2, 2)), [], None)


def test_pictures_are_read_as_their_names_and_drawn_from_more(
    captions, tokenizer, rows
):
    batch = captions.batch(64, (0, 1), text_to_image_share=0.5)
    again = captions.batch(64, (0, 1), text_to_image_share=0.5)
    for name, array in batch.items():
        assert np.array_equal(array, again[name])
    assert batch["text"].shape == (64, 32)
    assert batch["text_to_image"].tolist() == [True] * 32 + [False] * 32
    texts = tokenizer.decode(batch["text"])
    chosen = [rows[codes[0, 0]] for codes in batch["codes"]]
    names = [plain(row.name) for row in chosen]
    assert [plain(text) for text in texts[32:]] == names[32:]
    assert [plain(text) for text in texts[:32]] != names[:32]
    with_style = [
        text.endswith(f", {row.vendor} style")
        for text, row in zip(texts, chosen, strict=True)
    ]
    assert 4 < sum(with_style[:32]) < 28 and not any(with_style[32:])


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_a_batch_may_have_one_direction(captions, share):
    batch = captions.batch(4, (0,), text_to_image_share=share)
    assert batch["text"].shape == (4, 32)
    assert batch["text_to_image"].tolist() == [bool(share)] * 4


def test_a_sibling_stands_beside_each_picture_and_all_come_alike(
    captions, tokenizer, rows
):
    beside = EmojiCaptions(
        tokenizer, rows, captions.codes, [], None, siblings=True
    )
    chosen = beside.choose(20_001, np.random.default_rng(0))
    assert len(chosen) == 20_001
    family = [(row.vendor, row.concept) for row in rows]
    large = {key for key in family if family.count(key) > 1}
    assert large
    for one, other in zip(chosen[:2000:2], chosen[1:2000:2], strict=True):
        if family[one] in large:
            assert one != other and family[one] == family[other]
    counts = np.bincount(chosen, minlength=len(rows))
    expected = len(chosen) / len(rows)
    # Both of a pair come together: twice the variance of single draws.
    assert np.abs(counts - expected).max() < 5 * np.sqrt(2 * expected)
