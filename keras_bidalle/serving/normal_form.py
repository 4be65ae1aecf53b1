"""The normal form of captions as TensorFlow operations.

The steps of `captions/pipelines.py`. Of Unicode's NFKC a graph has what can
lead to the letters of the vocabulary; other texts are refused behind it.
"""

import re
import sys
import unicodedata

import tensorflow as tf

from keras_bidalle.captions.pipelines import JOINED, JOINER, OPENING

# As Unicode has them: what belongs to a word, and what separates words.
WORD = r"\p{L}\p{M}\p{Nd}\p{Nl}\p{Pc}\x{200c}\x{200d}"
SPACE = (
    r"\t-\r \x{85}\x{a0}\x{1680}\x{2000}-\x{200a}"
    r"\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}"
)
NO_MERGE = 2**62
_CODES = sys.maxunicode + 1
_MARK = f"([^{WORD}{SPACE}])"
# Regular expressions with a look around, which RE2 does not have.
_LOOKING = {
    OPENING: [(f'"([{WORD}])', r"“\1")],
    JOINED: [
        (f"([{WORD}]){_MARK}", rf"\1{JOINER}\2"),
        (f"{_MARK}([{WORD}])", rf"\1{JOINER}\2"),
    ],
}


class NormalForm(tf.Module):
    """A text as the normalizer of a Hugging Face tokenizer leaves it.

    Args:
        config: JSON value of the normalizer, one that it `knows`.
        letters: set of str, the characters of the vocabulary.
    """

    def __init__(self, config, letters):
        super().__init__()
        self._steps = _steps_of(config)
        if any(step["type"] == "NFKC" for step in self._steps):
            self._make_tables((letters | {" "}) - {JOINER})

    @staticmethod
    def knows(config):
        """Whether all steps can be taken here."""
        return config is not None and all(map(_is_known, _steps_of(config)))

    def _make_tables(self, letters):
        every = [chr(code) for code in range(_CODES)]
        # A mark that is a letter may stand behind any other.
        has_marks = any(unicodedata.combining(letter) for letter in letters)
        wanted = {c for c in every if has_marks or set(c.lower()) <= letters}
        changed = {
            c: form
            for c in every
            if (form := unicodedata.normalize("NFKC", c)) != c
            and (set(form) <= wanted or c == JOINER)
        }
        self._forms = table(list(changed), list(changed.values()), "")
        pairs = {}
        while wanted:
            letter = wanted.pop()
            parts = unicodedata.normalize("NFD", letter)
            first = unicodedata.normalize("NFC", parts[:-1])
            if len(parts) > 1 and len(first) == 1:
                if unicodedata.normalize("NFC", letter) == letter:
                    pair = ord(first) * _CODES + ord(parts[-1])
                    pairs[pair] = ord(letter)
                    wanted |= {first} if len(parts) > 2 else set()
        self._results = list(pairs.values()) or [0]
        self._ranks = table(
            list(pairs) or [-1], list(range(len(pairs))) or [-1], NO_MERGE
        )

    def __call__(self, text):
        for step in self._steps:
            if step["type"] == "Lowercase":
                text = tf.strings.lower(text, encoding="utf-8")
            elif step["type"] == "NFKC":
                text = self._composed(text)
            else:
                for old, new in _replacements(step):
                    text = tf.strings.regex_replace(text, old, new)
        return text

    def _composed(self, text):
        characters = tf.strings.unicode_split(text, "UTF-8")
        forms = self._forms.lookup(characters.values)
        forms = tf.where(forms == "", characters.values, forms)
        text = tf.strings.reduce_join(characters.with_values(forms), axis=-1)
        codes = tf.strings.unicode_decode(text, "UTF-8").to_tensor(-1)
        codes = merged_pairs(
            tf.cast(codes, tf.int64), _CODES, self._ranks, self._results
        )
        return tf.strings.unicode_encode(tf.cast(codes, tf.int32), "UTF-8")


def merged_pairs(ids, size, ranks, results):
    """Merges neighbors, those of the lowest rank first.

    Args:
        ids: int64 (n, width), values in [0, `size`), -1 behind them.
        size: int.
        ranks: table from a pair, left * `size` + right, to its rank.
        results: list of int, what the pair of a rank becomes.

    Returns:
        int64 ragged tensor (n, what is left).
    """
    place = tf.range(tf.shape(ids)[1])[None]

    def ranks_of(ids):
        pairs = ids[:, :-1] * size + ids[:, 1:]
        both = (ids[:, :-1] >= 0) & (ids[:, 1:] >= 0)
        found = ranks.lookup(tf.where(both, pairs, -1))
        # A column more, so that words of one character have a minimum.
        found = tf.pad(found, [[0, 0], [0, 1]], constant_values=NO_MERGE)
        return tf.where(found >= 0, found, NO_MERGE)

    def merge(ids, ranks_now, going):
        best = tf.reduce_min(ranks_now, axis=1, keepdims=True)
        merges = best < NO_MERGE
        at = tf.argmin(ranks_now, axis=1, output_type=tf.int32)[:, None]
        result = tf.gather(
            tf.constant(results, tf.int64), tf.where(merges, best, 0)
        )
        following = tf.pad(ids[:, 1:], [[0, 0], [0, 1]], constant_values=-1)
        merged = tf.where(
            place < at, ids, tf.where(place == at, result, following)
        )
        ids = tf.where(merges, merged, ids)
        found = ranks_of(ids)
        return ids, found, tf.reduce_any(found < NO_MERGE)

    first = ranks_of(ids)
    unknown = tf.TensorShape([None, None])
    ids, _, _ = tf.while_loop(
        lambda ids, ranks_now, going: going,
        merge,
        (ids, first, tf.reduce_any(first < NO_MERGE)),
        shape_invariants=(unknown, unknown, tf.TensorShape([])),
    )
    counts = tf.reduce_sum(tf.cast(ids >= 0, tf.int64), axis=1)
    return tf.RaggedTensor.from_tensor(ids, counts)


def table(keys, values, default):
    """A table of constants, str or int64 each."""
    kinds = [
        tf.string if isinstance(value, str) else tf.int64
        for value in ((keys or [""])[0], default)
    ]
    entries = [
        tf.constant(part, kind)
        for part, kind in zip((keys, values), kinds, strict=True)
    ]
    return tf.lookup.StaticHashTable(
        tf.lookup.KeyValueTensorInitializer(*entries), default
    )


def _steps_of(config):
    if config["type"] != "Sequence":
        return [config]
    return [step for part in config["normalizers"] for step in _steps_of(part)]


def _is_known(step):
    if step["type"] != "Replace":
        return step["type"] in ("Lowercase", "NFKC")
    pattern = step["pattern"].get("Regex")
    # A choice of characters means the same here and there.
    return (
        pattern is None
        or pattern in _LOOKING
        or re.fullmatch(r"\[(?:[^]\[\\^-]|\\-)+\]", pattern) is not None
    )


def _replacements(step):
    pattern = step["pattern"].get("Regex")
    if pattern in _LOOKING:
        return _LOOKING[pattern]
    new = step["content"].replace("\\", r"\\")
    return [(pattern or re.escape(step["pattern"]["String"]), new)]
