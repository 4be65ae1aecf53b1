"""Captions as rows of token ids of one length, and back.

A Hugging Face `tokenizers` tokenizer does the splitting; this class gives it
what a generator needs: rows of a fixed length, a clear error instead of a
silent [UNK] or a cut caption, and a Keras config.
"""

import contextlib
import functools
from collections.abc import Iterable, Sequence
from typing import Any

import keras
import numpy as np
import tokenizers
from keras import ops

from keras_bidalle.captions.caption_list import caption_list
from keras_bidalle.captions.merge_dropout import MergeDropout, words_of
from keras_bidalle.captions.pipelines import (
    SPECIAL_TOKENS,
    pair_pipeline,
    word_pipeline,
)
from keras_bidalle.messages import one_line, shown
from keras_bidalle.validation import refused

# Ids that no token has; published vocabularies have a few.
_MOST_GAPS = 1 << 20
_WORDS_TOLD = 4
# Of a text; what is longer is no caption, and would take long to split.
_MOST_LETTERS = 1 << 16


@keras.saving.register_keras_serializable(package="keras_bidalle")
class CaptionTokenizer:
    """Turns captions into int32 rows `[CLS] words [SEP] [PAD]...` and back.

    Captions are lower-cased, brought into one Unicode form, and split at
    white space and punctuation; `captions/pipelines.py` has a table of what
    is the same. A word that the vocabulary cannot spell is refused, never
    replaced by [UNK].

    Args:
        tokenizer_json: str, a Hugging Face tokenizer in its own JSON form
            (`tokenizers.Tokenizer.to_str()`, the contents of a
            `tokenizer.json`). It must know the tokens [PAD] and [UNK], and
            both of [CLS] and [SEP] or, as minDALL-E's, neither: its rows are
            words and [PAD]. Padding, truncation and dropout settings in it
            are ignored.
        max_length: int, the length of a row, [CLS] and [SEP] included.

    Attributes:
        vocabulary_size: int, the largest token id and 1.
        pad_id, start_id, end_id, unknown_id: int, ids of the special tokens;
            `None` for [CLS] and [SEP] where there are none.
        special_ids: set of int, ids that no word has: those of the special
            tokens, and those below `vocabulary_size` that are not in use.

    Raises:
        ValueError: when the JSON cannot be read or has no special token,
            or `max_length` is less than 3.

    Example:

    ```python
    tokenizer = CaptionTokenizer.from_words(["red", "3", "."], max_length=5)
    ids = tokenizer.encode(["red 3 ."])  # int32 (1, 5)
    tokenizer.decode(ids)  # ["red 3 ."]
    ```
    """

    def __init__(self, tokenizer_json: str, max_length: int) -> None:
        if not isinstance(max_length, int) or max_length < 3:
            raise ValueError(
                "`max_length` must be an integer of at least 3 ([CLS], one "
                f"word, [SEP]). Received: max_length={shown(max_length)}"
            )
        with _told(
            "`tokenizer_json` must be the JSON text of a Hugging Face "
            f"tokenizer. Received: {shown(tokenizer_json)}"
        ):
            self._tokenizer = tokenizers.Tokenizer.from_str(tokenizer_json)
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        if isinstance(self._tokenizer.model, tokenizers.models.BPE):
            self._tokenizer.model.dropout = None
        self.tokenizer_json = tokenizer_json
        self.max_length = max_length
        used = set(self._tokenizer.get_vocab().values())
        self.vocabulary_size = max(used, default=-1) + 1
        gaps = self.vocabulary_size - len(used)
        if gaps > _MOST_GAPS:
            raise ValueError(
                f"`tokenizer_json` must leave out at most {_MOST_GAPS:,} ids. "
                f"Received: {len(used)} tokens with ids up to "
                f"{self.vocabulary_size - 1}"
            )
        special = {t: self._tokenizer.token_to_id(t) for t in SPECIAL_TOKENS}
        frame = [special["[CLS]"], special["[SEP]"]]
        if frame == [None, None]:
            frame = []
        missing = [t for t in SPECIAL_TOKENS[:4] if special[t] is None]
        if missing and (frame or set(missing) - {"[CLS]", "[SEP]"}):
            raise ValueError(
                "`tokenizer_json` must know the tokens "
                f"{', '.join(SPECIAL_TOKENS[:4])}. Missing: "
                f"{', '.join(missing)}"
            )
        self.pad_id, self.start_id, self.end_id, self.unknown_id = (
            special[token] for token in SPECIAL_TOKENS[:4]
        )
        self._start, self._end = frame[:1], frame[1:]
        ids = range(self.vocabulary_size)
        self.special_ids = {i for i in ids if i not in used}
        self.special_ids.update(i for i in special.values() if i is not None)

    @classmethod
    def from_words(
        cls, words: Sequence[str], max_length: int
    ) -> "CaptionTokenizer":
        """A tokenizer with one token a word.

        Ids 0 to 4 are [PAD], [CLS], [SEP], [UNK], [MASK]; the words follow
        in their order. `"Red 3."` and `"red 3 ."` are the same caption, which
        is read back with spaces.

        Args:
            words: sequence of distinct lower-case str.
            max_length: int, the length of a row.
        """
        return cls(word_pipeline(words), max_length)

    @classmethod
    def from_captions(
        cls, captions: Iterable[str], vocabulary_size: int, max_length: int
    ) -> "CaptionTokenizer":
        """Trains a byte pair encoding on captions.

        The same captions give the same encoding. Captions are read back as
        they are, but for lower case, NFKC and the white space between words;
        where all of them have spaces around punctuation, that between words
        and punctuation does not matter.

        Args:
            captions: iterable of str.
            vocabulary_size: int, at most so many tokens.
            max_length: int, the length of a row.

        Raises:
            ValueError: if the vocabulary cannot hold the captions'
                characters.
        """
        return cls(pair_pipeline(captions, vocabulary_size), max_length)

    def tokens_of(self, text: str, name: str = "text") -> list[int]:
        """The token ids of a text without [CLS], [SEP] and padding.

        Args:
            text: str.
            name: str, what the text is called in error messages.

        Returns:
            list of int.

        Raises:
            ValueError: when a word is not in the vocabulary; the message
                names each such word and its place in the text.
        """
        return self._encoding(text, name).ids

    def _encoding(self, text, name):
        if len(text) > _MOST_LETTERS:
            raise ValueError(
                f"{name} is too long: {len(text):,} characters, at most "
                f"{_MOST_LETTERS:,} are read. Received: {shown(text)}"
            )
        with _told(f"{name} must be text. Received: {shown(text)}"):
            encoding = self._tokenizer.encode(text, add_special_tokens=False)
        # A special token written out by a user is not a word either.
        unknown = [
            span
            for i, span in zip(encoding.ids, encoding.offsets, strict=True)
            if i in self.special_ids
        ]
        if unknown:
            found = [_whole_word(text, *span) for span in unknown[:100]]
            told = [
                f"{shown(word)} at character {at}"
                for word, at in dict.fromkeys(found)
            ]
            words = ", ".join(told[:_WORDS_TOLD])
            if len(told) > _WORDS_TOLD or len(unknown) > len(found):
                words += " and more"
            raise ValueError(
                one_line(
                    f"{name} has words outside the vocabulary: {words}. "
                    f"Received: {shown(text)}"
                )
            )
        return encoding

    @functools.cached_property
    def _merge_dropout(self):
        return MergeDropout(self.tokenizer_json)

    def encode(
        self,
        captions: str | Sequence[str],
        dropout: float = 0.0,
        seed: int | None = None,
    ) -> np.ndarray:
        """Turns captions into token ids.

        With `dropout`, for training only, a byte pair encoding leaves out
        merges by chance, so that words come in smaller pieces too; published
        for DALL-E is 0.1. A row depends on its caption, its place in the
        batch and `seed` alone. A caption that dropout makes too long for a
        row is encoded without it.

        Args:
            captions: list of str (or one str: a batch of one).
            dropout: float in [0, 1], the odds of leaving out a merge.
            seed: int or `None`, for the dropout; with `None` each call draws
                anew.

        Returns:
            int32 array (B, max_length).

        Raises:
            ValueError: on an empty caption, one too long for `max_length`
                or of more than 65,536 characters, or words outside the
                vocabulary; the message says which. On a `dropout` out of its
                range, or of a tokenizer that is no byte pair encoding.
            TypeError: when a caption is not a str.

        Reference:
            Provilkov et al., "BPE-Dropout", 2020 (arXiv:1910.13267);
            [Zero-Shot Text-to-Image Generation](
            https://arxiv.org/abs/2102.12092), section 2.2.
        """
        if not isinstance(dropout, int | float) or not 0 <= dropout <= 1:
            raise refused("be a number between 0 and 1", dropout=dropout)
        captions = caption_list(captions)
        rows = np.full((len(captions), self.max_length), self.pad_id, "int32")
        for i, caption in enumerate(captions):
            if not isinstance(caption, str):
                raise TypeError(
                    "`captions` must be strings. Received: "
                    f"captions[{i}]={shown(caption)}"
                )
            encoding = self._encoding(caption, name=f"`captions[{i}]`")
            ids = encoding.ids
            if not ids:
                raise ValueError(
                    f"`captions[{i}]` is empty. Received: {shown(caption)}"
                )
            fit = self.max_length - len(self._start + self._end)
            if len(ids) > fit:
                raise ValueError(
                    f"`captions[{i}]` is too long: {len(ids)} tokens, at most "
                    f"{fit} fit. Received: {shown(caption)}"
                )
            if dropout:
                own = np.random.SeedSequence(seed, spawn_key=(i,))
                rng = np.random.default_rng(own)
                dropped = self._merge_dropout(words_of(encoding), dropout, rng)
                ids = dropped if len(dropped) <= fit else ids
            row = [*self._start, *ids, *self._end]
            rows[i, : len(row)] = row
        return rows

    def takes(self, caption: str) -> bool:
        """Whether `encode` takes a caption: known words, some, not too many."""
        try:
            self.encode([caption])
        except ValueError:
            return False
        return True

    def decode(self, ids: Any) -> list[str]:
        """Turns token ids into captions, each up to its first [SEP].

        Special tokens are left out. Any row of ids gives a string, so what
        a model generated can always be read.

        Args:
            ids: int array (B, T), values in [0, vocabulary_size).

        Returns:
            list of B str.

        Raises:
            ValueError: on another rank or ids outside the vocabulary.
        """
        ids = np.asarray(ops.convert_to_numpy(ids))
        if ids.ndim != 2:
            raise refused("have shape (batch, length)", "ids", shape=ids.shape)
        if ids.size and (ids.min() < 0 or ids.max() >= self.vocabulary_size):
            raise ValueError(
                f"`ids` must lie in [0, {self.vocabulary_size}). "
                f"Received: min={ids.min()}, max={ids.max()}"
            )
        rows = []
        for row in ids.tolist():
            if self.end_id in row:
                row = row[: row.index(self.end_id)]
            rows.append([i for i in row if i not in self.special_ids])
        return self._tokenizer.decode_batch(rows)

    def get_config(self) -> dict[str, Any]:
        return {
            "tokenizer_json": self.tokenizer_json,
            "max_length": self.max_length,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "CaptionTokenizer":
        return cls(**config)


@contextlib.contextmanager
def _told(message):
    """A scope in which the tokenizers' library's errors are a `ValueError`.

    It raises bare Exceptions, and panics, which are none.
    """
    try:
        yield
    except BaseException as error:
        panicked = type(error).__name__ == "PanicException"
        if not panicked and not isinstance(error, Exception):
            raise
        raise ValueError(one_line(f"{message} ({error})")) from error


def _whole_word(text, start, stop):
    """The word around a span of it, and where the word starts."""
    # A text may be one word of a million letters, all of them unknown.
    first, last = max(0, start - 100), min(len(text), stop + 100)
    while start > first and text[start - 1 : start + 1].isalnum():
        start -= 1
    while stop < last and text[stop - 1 : stop + 1].isalnum():
        stop += 1
    return text[start:stop], start
