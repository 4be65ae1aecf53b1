"""BPE-dropout: the same word in other pieces each time it is read.

Byte pair encoding merges pieces in a fixed order; here each merge is left out
now and then, so that a model sees words spelt from smaller pieces too. The
`tokenizers` library can do so, but draws from a generator that cannot be
seeded, and what this library draws can be drawn again.
"""

import itertools
import json

import numpy as np

from keras_bidalle.messages import shown


class MergeDropout:
    """Undoes the merges of encoded words and makes them anew, with gaps.

    Args:
        tokenizer_json: str, a Hugging Face tokenizer in its JSON form.

    Raises:
        ValueError: if its model is not a byte pair encoding.

    Reference:
        Provilkov et al., "BPE-Dropout: Simple and Effective Subword
        Regularization", 2020, Algorithm 1 (arXiv:1910.13267).
    """

    def __init__(self, tokenizer_json):
        model = json.loads(tokenizer_json)["model"]
        if model.get("type") != "BPE":
            raise ValueError(
                "`dropout` needs a byte pair encoding, which leaves out "
                "merges. Received: a tokenizer of type "
                f"{shown(model.get('type'))}"
            )
        self.vocabulary = model["vocab"]
        self.suffix = model.get("end_of_word_suffix") or ""
        self.prefix = model.get("continuing_subword_prefix") or ""
        # In the two forms that files have.
        pairs = (
            tuple(pair.split(" ")) if isinstance(pair, str) else tuple(pair)
            for pair in model["merges"]
        )
        self.ranks = {pair: rank for rank, pair in enumerate(pairs)}

    def __call__(self, words, rate, rng):
        """Encodes lists of words' tokens anew: list of int, their ids."""
        ids = []
        for tokens in words:
            pieces = self.first_pieces(tokens)
            # What no merges made (a token added by name) stays as it is.
            if pieces and all(piece in self.vocabulary for piece in pieces):
                tokens = self.merge(pieces, rate, rng)
            ids += [self.vocabulary[token] for token in tokens]
        return ids

    def first_pieces(self, tokens):
        """The single characters that a word's tokens were merged from."""
        pieces = []
        for i, token in enumerate(tokens):
            is_last = i == len(tokens) - 1
            core = token.removesuffix(self.suffix) if is_last else token
            core = core.removeprefix(self.prefix) if pieces else core
            for character in core:
                pieces.append((self.prefix if pieces else "") + character)
        if pieces:
            pieces[-1] += self.suffix
        return pieces

    def merge(self, pieces, rate, rng):
        """Merges neighbors by rank, leaving out each merge by chance."""
        pieces = list(pieces)
        while True:
            found = [
                (self.ranks[pair], place)
                for place, pair in enumerate(itertools.pairwise(pieces))
                if pair in self.ranks
            ]
            kept = np.asarray(rng.random(len(found))) >= rate
            found = [merge for merge, k in zip(found, kept, strict=True) if k]
            if not found:
                return pieces
            _, place = min(found)
            right = pieces.pop(place + 1).removeprefix(self.prefix)
            pieces[place] += right


def words_of(encoding):
    """The tokens of a library's encoding, a list for each word."""
    words = {}
    for word, token in zip(encoding.word_ids, encoding.tokens, strict=True):
        words.setdefault(word, []).append(token)
    return list(words.values())
