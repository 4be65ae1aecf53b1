"""What is said of an emoji: its name, its keywords, its vendor's style."""

import collections
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_bidalle.captions import CaptionTokenizer
from keras_bidalle.tasks.captioned_codes import CaptionedCodes
from keras_bidalle.tasks.emoji.pictures import Emoji

# Of the captions that are drawn from; what is read is the name alone.
STYLE_SHARE = 0.5
KEYWORDS_SHARE = 0.15
DROPPED_SHARE = 0.15  # of the names lose words
DROPPED_WORDS = 0.25  # of their words
_STYLE = re.compile(r"\s*,?\s*(\w+) style\s*$")
_WORDS = re.compile(r"\w+|[^\w\s]+")


def styled(caption: str, vendor: str) -> str:
    """The caption that asks for a vendor's style.

    Example: `styled("red heart", "noto")` is `"red heart, noto style"`.
    """
    return f"{caption}, {vendor} style"


def plain(caption: str) -> str:
    """A caption without its style, as a caption tokenizer would write it.

    Two captions are the same to a model if they are the same here: lower
    case, with a space between words and signs, apostrophes straight.
    """
    text = caption.lower().replace("’", "'")
    return " ".join(_WORDS.findall(_STYLE.sub("", text)))


def vocabulary_lines(rows: Sequence[Emoji]) -> list[str]:
    """What a byte pair encoding is trained on: names, keywords and styles.

    Names are what has to be written in few tokens; all that a keyboard has,
    and each sign of these captions, can be spelled wherever it stands.
    """
    names = sorted({row.name for row in rows})
    keywords = sorted({row.keywords for row in rows})
    vendors = sorted({row.vendor for row in rows})
    signs = {*map(chr, range(33, 127)), *"".join([*names, *keywords])}
    styles = [styled("", vendor) for vendor in vendors] * 50
    return [*4 * names, *keywords, *styles, *sorted(signs)]


def check_captions(tokenizer: CaptionTokenizer, rows: Sequence[Emoji]) -> None:
    """Raises a `ValueError` unless each name with its style fits into a row."""
    tokenizer.encode(sorted({styled(row.name, row.vendor) for row in rows}))


class EmojiCaptions(CaptionedCodes):
    """Codes of emoji, with captions that are drawn anew for every batch.

    A picture is read as its name. It is drawn from its name, some of its
    words, or some of its keywords, with its vendor's style or without. What
    is read is the picture or a view of it, what is drawn the picture itself.

    Args:
        caption_tokenizer, codes, captions, images: as in `CaptionedCodes`.
        rows: sequence of `Emoji`, one for each of the codes.
        views: integer array (V, N, *code_shape), the codes of each picture's
            views; `None` for none.
        siblings: bool, whether every other row of a batch is a sibling of
            the one before it: of the same vendor and concept, in another
            cell; beside those that have none stands another that has none.
            Each picture is chosen as often as without.

    Raises:
        ValueError: when a name with its style is too long for a row.
    """

    def __init__(
        self,
        caption_tokenizer: CaptionTokenizer,
        rows: Sequence[Emoji],
        codes: np.ndarray,
        captions: list[str],
        images: np.ndarray,
        views: np.ndarray | None = None,
        siblings: bool = False,
    ) -> None:
        super().__init__(caption_tokenizer, codes, captions, images)
        self.views = codes[None][:0] if views is None else views
        self.rows = list(rows)
        self._families: list[np.ndarray] = _families(rows) if siblings else []
        self._known: dict[str, np.ndarray] = {}
        check_captions(caption_tokenizer, rows)

    def _tokens(self, caption, or_else=""):
        """The row of a caption, or of another where it cannot be written."""
        if caption not in self._known:
            if not self.caption_tokenizer.takes(caption):
                return self._tokens(or_else)
            self._known[caption] = self.caption_tokenizer.encode([caption])[0]
        return self._known[caption]

    def drawn_from(self, row: Emoji, rng: np.random.Generator) -> str:
        """A caption that the picture may be drawn from."""
        caption = row.name
        kind = rng.random()
        if kind < KEYWORDS_SHARE:
            words = row.keywords.split(", ")
            chosen = rng.permutation(len(words))[: 1 + rng.integers(4)]
            caption = ", ".join(words[i] for i in chosen) or row.name
        elif kind < KEYWORDS_SHARE + DROPPED_SHARE:
            words = row.name.split()
            kept = rng.random(len(words)) >= DROPPED_WORDS
            caption = " ".join(np.compress(kept, words)) or row.name
        if rng.random() < 0.25:
            caption = caption.replace("’", "'")
        if rng.random() < STYLE_SHARE:
            caption = styled(caption, row.vendor)
        return caption

    def choose(self, size: int, rng: np.random.Generator) -> np.ndarray:
        if not self._families:
            return super().choose(size, rng)
        chosen = super().choose(size, rng)
        for place in range(1, size, 2):
            family = self._families[chosen[place - 1]]
            own = int(np.flatnonzero(family == chosen[place - 1])[0])
            other = own + int(rng.integers(1, max(len(family), 2)))
            chosen[place] = family[other % len(family)]
        return chosen

    def caption_tokens(
        self, chosen: np.ndarray, rng: np.random.Generator
    ) -> np.ndarray:
        rows = [self.rows[i] for i in chosen]
        return np.stack(
            [
                self._tokens(self.drawn_from(row, rng), or_else=row.name)
                for row in rows
            ]
        )

    def text_of(
        self, chosen: np.ndarray, forward: int, rng: np.random.Generator
    ) -> np.ndarray:
        names = [self._tokens(self.rows[i].name) for i in chosen[forward:]]
        drawn = self.caption_tokens(chosen[:forward], rng) if forward else []
        return np.stack([*drawn, *names])

    def codes_of(
        self, chosen: np.ndarray, forward: int, rng: np.random.Generator
    ) -> np.ndarray:
        codes = self.codes[chosen]
        if len(self.views):
            read = chosen[forward:]
            # The last number is the picture as it is.
            view = rng.integers(len(self.views) + 1, size=len(read))
            changed = view < len(self.views)
            codes[forward:][changed] = self.views[view[changed], read[changed]]
        return codes


def _families(rows: Sequence[Emoji]) -> list[np.ndarray]:
    """For each picture, the places of those of its vendor and concept.

    All that are alone there are one family: beside anybody else, they would
    be chosen less often than others.
    """
    keys: list[Any] = [(row.vendor, row.concept) for row in rows]
    count = collections.Counter(keys)
    keys = [key if count[key] > 1 else None for key in keys]
    places = collections.defaultdict(list)
    for place, key in enumerate(keys):
        places[key].append(place)
    families = {key: np.array(value) for key, value in places.items()}
    return [families[key] for key in keys]
