"""BLEU, ROUGE-L, CIDEr-D and exact matches of captions.

As the captioning benchmarks compute them; the words are those of
`caption_words`.
"""

import collections
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_bidalle.metrics.caption_words import caption_words

# What the benchmarks' program adds so that nothing is divided by zero.
_TINY, _SMALL = 1e-15, 1e-9
_ORDERS = 4
# Lin (2004) leaves it open; the benchmarks weigh recall so.
_BETA = 1.2
# Vedantam et al., section 8: the width of the penalty on lengths.
_SIGMA = 6.0

Captions = Sequence[str]
References = Sequence[str | Sequence[str]]


def bleu(candidates: Captions, references: References) -> np.ndarray:
    """BLEU-1 to BLEU-4 of all captions together.

    Args:
        candidates: list of B str.
        references: list of B lists of str (or of one str each), what the
            captions are compared with.

    Returns:
        float64 array (4,), in [0, 1]: counts are clipped by their maximum
        over the references, the brevity penalty takes the closest length.

    Raises:
        ValueError: when there are none, or not as many references.

    Reference:
        Papineni et al. (2002), section 2.
    """
    return bleu_of_counts(bleu_counts(candidates, references))


def bleu_counts(candidates: Captions, references: References) -> np.ndarray:
    """What BLEU adds up over captions.

    Args:
        candidates, references: as in `bleu`.

    Returns:
        int64 array (B, 10): each caption's length, that of the reference
        closest to it, its n-grams of four orders, and how many of them are
        right.
    """
    rows = []
    for candidate, others in _pairs(candidates, references):
        length = len(candidate)
        closest = min((abs(len(o) - length), len(o)) for o in others)[1]
        found = _ngrams(candidate)
        most: dict[Any, int] = {}
        for other in others:
            for ngram, count in _ngrams(other).items():
                most[ngram] = max(most.get(ngram, 0), count)
        right = [0] * _ORDERS
        for ngram, count in found.items():
            right[len(ngram) - 1] += min(count, most.get(ngram, 0))
        there = [max(0, length - n) for n in range(_ORDERS)]
        rows.append([length, closest, *there, *right])
    return np.asarray(rows, "int64")


def bleu_of_counts(counts: np.ndarray) -> np.ndarray:
    """BLEU-1 to BLEU-4 of the rows of `bleu_counts`: float64 (4,)."""
    length, closest, *rest = counts.sum(axis=0).tolist()
    there, right = np.asarray(rest, "float64").reshape(2, _ORDERS)
    precisions = (right + _TINY) / (there + _SMALL)
    scores = np.cumprod(precisions) ** (1.0 / np.arange(1, _ORDERS + 1))
    ratio = (length + _TINY) / (closest + _SMALL)
    return scores * (math.exp(1 - 1 / ratio) if ratio < 1 else 1.0)


def rouge_l(candidates: Captions, references: References) -> np.ndarray:
    """ROUGE-L of each caption: its longest common subsequences.

    Args:
        candidates, references: as in `bleu`.

    Returns:
        float64 array (B,) in [0, 1]: the F measure, beta 1.2, of the best
        precision and the best recall over the references.

    Raises:
        ValueError: as `bleu`.

    Reference:
        Lin (2004), section 3.
    """
    scores = []
    for candidate, others in _pairs(candidates, references):
        common = [_common_length(candidate, other) for other in others]
        precision = max(common) / max(len(candidate), 1)
        recall = max(
            n / max(len(other), 1)
            for n, other in zip(common, others, strict=True)
        )
        weight = _BETA**2
        scores.append(
            (1 + weight) * precision * recall / (recall + weight * precision)
            if precision and recall
            else 0.0
        )
    return np.asarray(scores, "float64")


def cider_d(candidates: Captions, references: References) -> np.ndarray:
    """CIDEr-D of each caption: n-grams, the rarer the weightier.

    How rare an n-gram is, is told by the references of all captions, so a
    caption's score depends on what it is measured with; of one alone it is
    0. Papers report 100 times the mean.

    Args:
        candidates, references: as in `bleu`.

    Returns:
        float64 array (B,) in [0, 10].

    Raises:
        ValueError: as `bleu`.

    Reference:
        Vedantam et al., arXiv 1411.5726, section 8.
    """
    pairs = [
        (_ngrams(candidate), [_ngrams(other) for other in others])
        for candidate, others in _pairs(candidates, references)
    ]
    seen: collections.Counter[Any] = collections.Counter()
    for _, others in pairs:
        seen.update({ngram for other in others for ngram in other})
    documents = math.log(len(pairs))

    def weighed(counts: Any) -> Any:
        """n-gram to weight, norms of the four orders, and the length."""
        weights = {
            ngram: count * (documents - math.log(max(1, seen[ngram])))
            for ngram, count in counts.items()
        }
        squares = np.zeros(_ORDERS)
        for ngram, weight in weights.items():
            squares[len(ngram) - 1] += weight**2
        # The benchmarks' length is the number of pairs of words.
        length = sum(n for ngram, n in counts.items() if len(ngram) == 2)
        return weights, np.sqrt(squares), length

    scores = []
    for candidate, others in pairs:
        mine, norm, length = weighed(candidate)
        total = 0.0
        for other in others:
            theirs, other_norm, other_length = weighed(other)
            shared = np.zeros(_ORDERS)
            for ngram, weight in mine.items():
                if ngram in theirs:
                    shared[len(ngram) - 1] += (
                        min(weight, theirs[ngram]) * theirs[ngram]
                    )
            norms = norm * other_norm
            np.divide(shared, norms, out=shared, where=norms != 0)
            step = length - other_length
            penalty = math.exp(-(step**2) / (2 * _SIGMA**2))
            total += float(shared.mean()) * penalty
        scores.append(10.0 * total / len(others))
    return np.asarray(scores, "float64")


def exact_match(candidates: Captions, references: References) -> np.ndarray:
    """Whether each caption is one of its references, word by word.

    Args:
        candidates, references: as in `bleu`.

    Returns:
        float64 array (B,) of 0 and 1.

    Raises:
        ValueError: as `bleu`.
    """
    return np.asarray(
        [c in others for c, others in _pairs(candidates, references)],
        "float64",
    )


def _pairs(
    candidates: Captions, references: References
) -> list[tuple[list[str], list[list[str]]]]:
    """Words of each caption and of its references."""
    references = [[r] if isinstance(r, str) else list(r) for r in references]
    if len(candidates) != len(references) or not len(candidates):
        raise ValueError(
            "`candidates` and `references` must be as many, at least one. "
            f"Received: {len(candidates)} and {len(references)}"
        )
    for number, others in enumerate(references):
        if not others:
            raise ValueError(f"`references[{number}]` must hold a caption.")
    return [
        (caption_words(candidate), [caption_words(other) for other in others])
        for candidate, others in zip(candidates, references, strict=True)
    ]


def _ngrams(words: list[str]) -> collections.Counter[tuple[str, ...]]:
    return collections.Counter(
        tuple(words[i : i + n])
        for n in range(1, _ORDERS + 1)
        for i in range(len(words) - n + 1)
    )


def _common_length(one: list[str], two: list[str]) -> int:
    """The length of the longest common subsequence."""
    row = [0] * (len(two) + 1)
    for word in one:
        above = row
        row = [0]
        for j, other in enumerate(two):
            row.append(
                above[j] + 1 if word == other else max(above[j + 1], row[j])
            )
    return row[-1]
