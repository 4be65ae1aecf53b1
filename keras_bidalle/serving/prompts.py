"""A caption tokenizer as TensorFlow operations, both ways.

`captions.CaptionTokenizer` wraps a program in another language, which a graph
cannot call. Its captions go through few steps, all of which a graph can do:
a normal form, words and punctuation apart, then one token a word or the merges
of a byte pair encoding. Lower case and words are those of Unicode as ICU and
RE2 know it; a text that the tokenizer refuses is refused here too.
"""

import json
import re

import tensorflow as tf

from keras_bidalle.captions.pipelines import JOINERS, joint_decoders
from keras_bidalle.serving.normal_form import (
    NO_MERGE,
    SPACE,
    WORD,
    NormalForm,
    merged_pairs,
    table,
)
from keras_bidalle.serving.requests import require

# Longer requests are refused before anything is done with them.
MAX_BYTES = 4096


class Prompts(tf.Module):
    """Encodes and decodes captions in a graph."""

    def __init__(self, tokenizer):
        super().__init__()
        config = json.loads(tokenizer.tokenizer_json)
        _check_steps(config)
        if tokenizer.start_id is None:
            raise ValueError(
                "`caption_tokenizer` must have [CLS] and [SEP] to be exported. "
                "Received: one without."
            )
        model = config["model"]
        self._max_length = tokenizer.max_length
        self._start = tokenizer.start_id
        self._end = tokenizer.end_id
        self._pad = tokenizer.pad_id
        self._special = sorted(tokenizer.special_ids)
        self._added = [token["content"] for token in config["added_tokens"]]
        self._suffix = model.get("end_of_word_suffix") or ""
        self._joins_words = config["decoder"] is None
        self._has_joiners = _type(config, "decoder") == "Sequence"
        self._is_bpe = model["type"] == "BPE"
        vocabulary = {t["content"]: t["id"] for t in config["added_tokens"]}
        vocabulary.update(model["vocab"])
        self._size = tokenizer.vocabulary_size
        self._tokens = [""] * self._size
        for token, number in vocabulary.items():
            self._tokens[number] = token
        letters = {c for token in model["vocab"] for c in token}
        self._normal_form = NormalForm(config["normalizer"], letters)
        self._ids = table(
            list(model["vocab"]), list(model["vocab"].values()), -1
        )
        if self._is_bpe:
            self._make_merges(model)

    def _make_merges(self, model):
        vocabulary, results, pairs = model["vocab"], [], []
        for merge in model["merges"]:
            left, right = merge.split(" ") if isinstance(merge, str) else merge
            pairs.append(vocabulary[left] * self._size + vocabulary[right])
            results.append(vocabulary[left + right])
        # The first merge of a list goes before the others.
        self._ranks = table(
            pairs or [-1], list(range(len(pairs))) or [-1], NO_MERGE
        )
        self._results = results or [0]

    def encode(self, prompt):
        """Captions as rows of token ids."""
        size = tf.reduce_max(tf.strings.length(prompt))
        null = tf.strings.regex_full_match(prompt, r"(?s).*\x00.*")
        checks = [
            require(
                size <= MAX_BYTES,
                f"`prompt` must have at most {MAX_BYTES} bytes.",
                size,
            ),
            require(
                ~tf.reduce_any(null),
                "`prompt` must not have a null character.",
            ),
        ]
        with tf.control_dependencies(checks):
            # Fails for what is not UTF-8.
            text = tf.strings.unicode_transcode(
                prompt, "UTF-8", "UTF-8", errors="strict"
            )
        checks = []
        if self._added:
            # A special token written out is not a word.
            written = "|".join(re.escape(token) for token in self._added)
            bad = tf.strings.regex_full_match(text, f"(?s).*({written}).*")
            checks.append(_known_words(text, bad))
        text = self._normal_form(text)
        text = tf.strings.regex_replace(
            text, f"([{WORD}]+|[^{WORD}{SPACE}]+)", r" \1 "
        )
        text = tf.strings.regex_replace(text, f"[{SPACE}]+", " ")
        words = tf.strings.split(tf.strings.strip(text), " ")
        # Of an empty text, split makes one empty word.
        words = tf.ragged.boolean_mask(words, words != "")
        room = self._max_length - 2
        checks += [
            require(
                tf.reduce_all(words.row_lengths() > 0),
                "`prompt` must not be empty.",
            ),
            require(
                # Each is at least one token, which needs no work to know.
                tf.reduce_all(words.row_lengths() <= room),
                f"`prompt` must be of at most {room} tokens. Words:",
                words.row_lengths(),
            ),
        ]
        with tf.control_dependencies(checks):
            flat = tf.identity(words.values)
        pieces = self._merged(flat) if self._is_bpe else self._looked_up(flat)
        tokens = words.with_values(pieces).merge_dims(1, 2)
        return self._packed(tokens)

    def _looked_up(self, words):
        """One token a word: int32 ragged tensor (n, 1)."""
        ids = tf.cast(self._ids.lookup(words), tf.int32)
        with tf.control_dependencies([_known_words(words, self._refused(ids))]):
            ids = tf.identity(ids)
        return tf.RaggedTensor.from_tensor(ids[:, None])

    def _refused(self, ids):
        special = tf.constant(self._special, tf.int32)
        return (ids < 0) | tf.reduce_any(ids[..., None] == special, axis=-1)

    def _merged(self, words):
        """Byte pair encoding: int32 ragged tensor (n, tokens of the word)."""
        characters = tf.strings.unicode_split(words, "UTF-8")
        lengths = tf.cast(characters.row_lengths(), tf.int32)
        symbols = characters.to_tensor("")
        width = tf.shape(symbols)[1]
        place = tf.range(width)[None]
        inside = place < lengths[:, None]
        last = place == lengths[:, None] - 1
        symbols = tf.where(last, symbols + self._suffix, symbols)
        ids = self._ids.lookup(symbols)
        bad = inside & self._refused(tf.cast(ids, tf.int32))
        check = _known_words(words, tf.reduce_any(bad, axis=1))
        with tf.control_dependencies([check]):
            ids = tf.where(inside, ids, -1)
        ids = merged_pairs(ids, self._size, self._ranks, self._results)
        return tf.cast(ids, tf.int32)

    def _packed(self, tokens):
        """Rows `[CLS] tokens [SEP] [PAD]...`: int32 tensor (B, T)."""
        room = self._max_length - 2
        check = require(
            tf.reduce_all(tokens.row_lengths() <= room),
            f"`prompt` must be of at most {room} tokens. Tokens:",
            tokens.row_lengths(),
        )
        with tf.control_dependencies([check]):
            rows = tf.cast(tokens.nrows(), tf.int32)
        start, end = (tf.fill([rows, 1], i) for i in (self._start, self._end))
        packed = tf.concat([start, tokens, end], axis=1)
        return packed.to_tensor(self._pad, shape=(None, self._max_length))

    def decode(self, ids):
        """Token ids as captions, as `CaptionTokenizer.decode` writes them."""
        ended = tf.cumsum(tf.cast(ids == self._end, tf.int32), axis=1) > 0
        special = tf.reduce_any(
            ids[..., None] == tf.constant(self._special, tf.int32), axis=-1
        )
        tokens = tf.gather(tf.constant(self._tokens), ids)
        kept = tf.ragged.boolean_mask(tokens, ~(ended | special))
        if self._joins_words:
            return tf.strings.reduce_join(kept, axis=-1, separator=" ")
        text = tf.strings.reduce_join(kept, axis=-1)
        suffix = re.escape(self._suffix)
        text = tf.strings.regex_replace(text, f"{suffix}$", "")
        text = tf.strings.regex_replace(text, suffix, " ")
        if self._has_joiners:
            for joiner in JOINERS:
                text = tf.strings.regex_replace(text, joiner, "")
        return text


def _known_words(words, refused):
    return require(
        ~tf.reduce_any(refused),
        "`prompt` has words outside the vocabulary.",
        # The beginnings of two: each byte may be told in four characters.
        tf.strings.substr(tf.boolean_mask(words, refused)[:2], 0, 24),
    )


def _check_steps(config):
    """Raises unless every step of a Hugging Face tokenizer is known here."""
    model = config["model"]
    bpe = model["type"] == "BPE"
    known = {
        "normalizer": NormalForm.knows(config["normalizer"]),
        "pre_tokenizer": _type(config, "pre_tokenizer") == "Whitespace",
        "model": model["type"] in ("WordLevel", "BPE"),
        "decoder": _knows_decoder(config["decoder"], model),
    }
    names = [name for name, is_known in known.items() if not is_known]
    if bpe:
        steps = "continuing_subword_prefix", "byte_fallback", "ignore_merges"
        names += [f"model.{step}" for step in steps if model.get(step)]
    if names:
        raise ValueError(
            "`caption_tokenizer` must be one of lower case, white space and "
            "punctuation, with words or byte pairs, as "
            "`CaptionTokenizer.from_words` and `from_captions` make it, to "
            f"be exported. Received: another {', '.join(names)}."
        )


def _knows_decoder(decoder, model):
    if decoder is None or model["type"] != "BPE":
        return decoder is None
    if decoder["type"] == "Sequence":
        decoder, *joins = decoder["decoders"]
        if joins != joint_decoders():
            return False
    suffix = model.get("end_of_word_suffix")
    return decoder["type"] == "BPEDecoder" and decoder["suffix"] == suffix


def _type(config, name):
    return None if config[name] is None else config[name]["type"]
