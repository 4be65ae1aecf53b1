"""The language of the MNIST64 task: what a caption says, and how.

The published captions of the task are not at hand, only their word inventory
and what their parser accepts. This grammar writes captions of our own inside
both, in several phrasings, and reads them back from whatever a model wrote.
"""

import itertools
import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from keras_bidalle.validation import check_choice

LOCATIONS = ("center", "upper left", "upper right", "lower left", "lower right")
COLORS = ("white", "red", "green", "blue")
LAYOUTS = ("center", "quad1", "quad2", "quad3", "quad4")

DIGIT_NAMES = tuple(str(digit) for digit in range(10))
FASHION_NAMES = (
    *("tshirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt"),
    *("sneaker", "bag", "ankle boot"),
)

# Synonyms of the two vertical words: location 1, 2 and location 3, 4.
VERTICALS = (("upper", "top"), ("lower", "bottom"))
HORIZONTALS = ("left", "right")

# Phrasing and its share. Six words at most (seven with "ankle boot"): each
# further word would lengthen every training row by four tokens. The shares
# put "on" into 58% of the quadrant clauses, and the noun into about one
# clause in six of a uniform mix of layouts.
QUADRANT_PHRASES = (
    ("{color} {item} on the {location}", 0.58),
    ("the {location} is {color} {item}", 0.22),
    ("the {color} {item} is {location}", 0.10),
    ("{location} {noun} is {color} {item}", 0.10),
)
# The inventory has no word for the center: a clause without a location is
# the center's.
CENTER_PHRASES = (
    ("{color} {item}", 0.2),
    ("this is {color} {item}", 0.2),
    ("the {noun} is {color} {item}", 0.3),
    ("this {noun} is {color} {item}", 0.3),
)

MAX_CLAUSES = 4
# A shorter name of a data set.
DATASETS = {"fashion": "fashion_mnist"}
# What `CaptionGrammar` takes, by data set.
GRAMMARS = {
    "mnist": (DIGIT_NAMES, "number"),
    "fashion_mnist": (FASHION_NAMES, "item"),
}


class CaptionGrammar:
    """Writes and reads captions of MNIST64 or Fashion64.

    A clause is `(location, color, item)`, three integers: location 0 center,
    1 upper left, 2 upper right, 3 lower left, 4 lower right; color 0 white,
    1 red, 2 green, 3 blue; item 0 to 9 in the order of the data set's labels.
    A caption joins one to four clauses: `"red 3 on the upper left , and the
    lower right is blue 8 ."`.

    Args:
        item_names: tuple of 10 str, what each label is called.
        noun: str, the word for an item in general.

    Reference:
        TE-VQGAN, https://arxiv.org/abs/2112.00384, section 4, and the
        released `parser.py`.
    """

    def __init__(self, item_names: Sequence[str], noun: str) -> None:
        self.item_names = tuple(item_names)
        self.noun = noun
        # phrases[location]: templates with the location's words filled in.
        self.phrases = tuple(
            self._phrases_of(location) for location in range(len(LOCATIONS))
        )
        # Both kinds have eight weights, so that one table serves a batch.
        width = max(len(phrases) for phrases in self.phrases)
        self.phrase_weights = np.zeros((len(LOCATIONS), width))
        for location, phrases in enumerate(self.phrases):
            shares = [share for _, share in phrases]
            self.phrase_weights[location, : len(shares)] = shares
        texts = (self.clause(*clause) for clause in self.all_clauses())
        words = {word for text in texts for word in text.split()}
        self.words = tuple(sorted({",", ".", "and"} | words))

    def _phrases_of(self, location):
        if location == 0:
            return CENTER_PHRASES
        horizontal = HORIZONTALS[(location - 1) % 2]
        return tuple(
            (template.replace("{location}", f"{vertical} {horizontal}"), p / 2)
            for template, p in QUADRANT_PHRASES
            for vertical in VERTICALS[(location - 1) // 2]
        )

    def all_clauses(self) -> Iterator[tuple[tuple[int, int, int], int]]:
        """Every clause that can be, with each of its phrasings."""
        for location, phrases in enumerate(self.phrases):
            of_clause = itertools.product(
                range(len(COLORS)),
                range(len(self.item_names)),
                range(len(phrases)),
            )
            for color, item, phrase in of_clause:
                yield (location, color, item), phrase

    def clause(self, clause: Any, phrase: int) -> str:
        """The words of one clause in its `phrase`-th phrasing."""
        location, color, item = (int(part) for part in clause)
        template, _ = self.phrases[location][phrase]
        return template.format(
            color=COLORS[color], item=self.item_names[item], noun=self.noun
        )

    def sample_phrases(
        self, clauses: Any, rng: np.random.Generator
    ) -> np.ndarray:
        """Draws a phrasing for every clause of a batch.

        Args:
            clauses: int array (B, 4, 3), unused clauses -1.
            rng: `numpy.random.Generator`.

        Returns:
            int32 array (B, 4); 0 where there is no clause.
        """
        clauses = np.asarray(clauses)
        thresholds = np.cumsum(self.phrase_weights, axis=1)
        draws = rng.random(clauses.shape[:2], dtype="float32")
        # The last threshold is 1 up to rounding: never go beyond it.
        rows = thresholds[np.maximum(clauses[..., 0], 0)][..., :-1]
        phrases = (draws[..., None] >= rows).sum(axis=-1)
        counts = np.asarray([len(phrases) for phrases in self.phrases])
        phrases = np.minimum(phrases, counts[clauses[..., 0]] - 1)
        return np.where(clauses[..., 0] >= 0, phrases, 0).astype("int32")

    def captions(self, clauses: Any, phrases: Any) -> list[str]:
        """Writes B captions.

        Args:
            clauses: int array (B, 4, 3), unused clauses -1.
            phrases: int array (B, 4), from `sample_phrases`.
        """
        written = []
        for row, ways in zip(clauses, phrases, strict=True):
            texts = [
                self.clause(clause, phrase)
                for clause, phrase in zip(row, ways, strict=True)
                if clause[0] >= 0
            ]
            if len(texts) > 1:
                texts[-1] = f"and {texts[-1]}"
            written.append(" , ".join(texts) + " .")
        return written

    def parse(self, text: str) -> list[tuple[int, int, int]]:
        """Reads the clauses of a caption, a generated one included.

        Clauses end at `,`, `.` or "and". A clause is read when it names one
        color, one item and one location, in any order and among any other
        words; without a word of place it is the center's. What cannot be
        read so is left out: nothing is guessed, and nothing is raised.

        Returns:
            list of tuples `(location, color, item)`, in the order of the
            text, repeated ones included.
        """
        parts = re.split(r"[,.]|\band\b", text.lower())
        clauses = (self._read(part) for part in parts)
        return [clause for clause in clauses if clause is not None]

    def _read(self, text):
        words = re.findall(r"\w+", text)
        # Item names of two words are matched as neighbors.
        pairs = [" ".join(pair) for pair in zip(words, words[1:], strict=False)]
        found = {*words, *pairs}
        colors = [i for i, name in enumerate(COLORS) if name in found]
        items = [i for i, name in enumerate(self.item_names) if name in found]
        rows = [i for i, names in enumerate(VERTICALS) if found & {*names}]
        columns = [i for i, name in enumerate(HORIZONTALS) if name in found]
        if len(colors) != 1 or len(items) != 1:
            return None
        if not rows and not columns:
            return 0, colors[0], items[0]
        if len(rows) != 1 or len(columns) != 1:
            return None
        return 1 + 2 * rows[0] + columns[0], colors[0], items[0]


def caption_grammar(dataset: str = "mnist") -> CaptionGrammar:
    """The grammar of `"mnist"` or `"fashion_mnist"`; else a `ValueError`."""
    check_choice(GRAMMARS, dataset=dataset)
    return CaptionGrammar(*GRAMMARS[dataset])
