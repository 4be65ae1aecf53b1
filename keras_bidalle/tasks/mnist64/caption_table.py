"""Captions of a whole batch as token ids, by table look-up.

Training draws fresh captions for every batch; building strings and splitting
them again would cost more than drawing the images. Every clause in every
phrasing is tokenized once, and a batch gathers its rows from that table.
"""

from typing import Any

import numpy as np

from keras_bidalle.captions.caption_tokenizer import CaptionTokenizer
from keras_bidalle.tasks.mnist64.grammar import MAX_CLAUSES, CaptionGrammar

SEPARATORS = (",", "and", ".")


class CaptionTable:
    """Renders clauses and phrasings to the tokenizer's rows of ids.

    For every batch, `table(clauses, phrases)` equals
    `tokenizer.encode(grammar.captions(clauses, phrases))`.

    Args:
        grammar: `CaptionGrammar`.
        tokenizer: `CaptionTokenizer` that knows the grammar's words.

    Raises:
        ValueError: when the tokenizer has no word of the grammar or no place
            for its longest caption.
    """

    def __init__(
        self, grammar: CaptionGrammar, tokenizer: CaptionTokenizer
    ) -> None:
        self.grammar = grammar
        self.tokenizer = tokenizer
        self._clauses = _clause_table(grammar, tokenizer)
        self._separators = [tokenizer.tokens_of(word) for word in SEPARATORS]
        longest = _longest(self._clauses, self._separators)
        if tokenizer.max_length < longest:
            raise ValueError(
                "`tokenizer` must have a max_length of at least "
                f"{longest} for this grammar. Received: "
                f"max_length={tokenizer.max_length}"
            )

    def __call__(self, clauses: Any, phrases: Any) -> np.ndarray:
        """Renders a batch.

        Args:
            clauses: int array (B, 4, 3), unused clauses -1 and last.
            phrases: int array (B, 4), from `grammar.sample_phrases`.

        Returns:
            int32 array (B, max_length).
        """
        clauses = np.asarray(clauses)
        comma, joiner, stop = self._separators
        batch, slots = clauses.shape[:2]
        present = clauses[..., 0] >= 0  # (B, 4)
        last = present.sum(axis=1) - 1
        slot = np.arange(slots)
        joined = present & (slot == last[:, None]) & (slot > 0)
        # One cell per possible token, -1 where there is none: for each slot
        # ["and"] clause [","], then ["."] for all.
        body = self._clauses[
            clauses[..., 0], clauses[..., 1], clauses[..., 2], phrases
        ]
        body = np.where(present[..., None], body, -1)
        cells = np.concatenate(
            [
                _where(joined, joiner),
                body,
                _where(slot < last[:, None], comma),
            ],
            axis=-1,
        ).reshape(batch, -1)
        opening = [self.tokenizer.start_id]
        closing = [*stop, self.tokenizer.end_id]
        whole = np.ones(batch, bool)
        cells = np.concatenate(
            [_where(whole, opening), cells, _where(whole, closing)], axis=1
        )
        # Both masks are read row by row, so the tokens keep their order.
        used = cells >= 0
        ids = np.full(
            (batch, self.tokenizer.max_length), self.tokenizer.pad_id, "int32"
        )
        width = np.arange(ids.shape[1])
        ids[width < used.sum(axis=1, keepdims=True)] = cells[used]
        return ids


def grammar_tokenizer(grammar: CaptionGrammar) -> CaptionTokenizer:
    """A tokenizer with one token a word, as long as the longest caption."""
    draft = CaptionTokenizer.from_words(grammar.words, max_length=3)
    separators = [draft.tokens_of(word) for word in SEPARATORS]
    longest = _longest(_clause_table(grammar, draft), separators)
    return CaptionTokenizer.from_words(grammar.words, longest)


def _longest(table, separators):
    """Tokens of four clauses in their longest phrasing, [CLS] and [SEP]."""
    comma, joiner, stop = map(len, separators)
    commas = (MAX_CLAUSES - 1) * comma
    return MAX_CLAUSES * table.shape[-1] + commas + joiner + stop + 2


def _clause_table(grammar, tokenizer):
    """int32 (5, 4, 10, phrases, tokens): a clause's ids, -1 behind them."""
    rows = {
        (*clause, phrase): tokenizer.tokens_of(grammar.clause(clause, phrase))
        for clause, phrase in grammar.all_clauses()
    }
    shape = np.max(list(rows), axis=0) + 1
    table = np.full((*shape, max(map(len, rows.values()))), -1, "int32")
    for index, ids in rows.items():
        table[index][: len(ids)] = ids
    return table


def _where(mask, ids):
    """`ids` (k,) where `mask` (...), else -1: int32 (..., k)."""
    return np.where(mask[..., None], np.asarray(ids, "int32"), np.int32(-1))
