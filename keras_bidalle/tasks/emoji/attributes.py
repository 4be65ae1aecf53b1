"""What a name says of an emoji: concept, tone, gender, color, hour."""

import dataclasses
import re
from collections.abc import Iterable, Sequence

from keras_bidalle.tasks.emoji.captions import plain
from keras_bidalle.tasks.emoji.pictures import Emoji

ATTRIBUTES = ("name", "concept", "tone", "gender", "color", "hour")
_PEOPLE = {"person", "man", "woman"}
_HOUR = re.compile(r"\w+ (00|30)")
_GENDERS = {
    "woman": "woman",
    "man": "man",
    "women": "woman-woman",
    "men": "man-man",
}
_TONES = {
    "light": 1,
    "medium-light": 2,
    "medium": 3,
    "medium-dark": 4,
    "dark": 5,
}
_TONE = re.compile(r"((?:medium - )?(?:light|dark)|medium) skin tone")


@dataclasses.dataclass(frozen=True)
class Attributes:
    """What can be asked of one emoji; `None` for what it has not.

    Attributes:
        name: str, as `plain` writes it.
        concept: str, what its cells share.
        tone: str, one of 0 (none) to 5, or two of them, such as "1-5".
        gender: str, "person", "man", "woman", or two of them.
        color: str.
        hour: str, such as "two 30".
    """

    name: str
    concept: str | None = None
    tone: str | None = None
    gender: str | None = None
    color: str | None = None
    hour: str | None = None


def attributes_of(row: Emoji) -> Attributes:
    """The attributes of a picture, as its cell tells them."""
    name, concept = plain(row.name), row.concept
    people, _, tone = row.cell.rpartition(" ")
    if _HOUR.fullmatch(row.cell):
        return Attributes(name, concept, hour=row.cell)
    if people and _PEOPLE.issuperset(people.split("-")):
        return Attributes(name, concept, tone=tone, gender=people)
    return Attributes(name, concept, color=row.cell)


class KnownEmoji:
    """All names of a data set: what a caption means, and what to ask.

    Args:
        rows: iterable of `Emoji`, of all splits.
    """

    def __init__(self, rows: Iterable[Emoji]) -> None:
        self.by_name: dict[str, Attributes] = {}
        values: dict[str | None, dict[str, set[str]]] = {}
        for row in rows:
            found = attributes_of(row)
            self.by_name[found.name] = found
            own = values.setdefault(found.concept, {})
            for key in ATTRIBUTES[2:]:
                value = getattr(found, key)
                if value is not None:
                    own.setdefault(key, set()).add(value)
        self._varying = {
            concept: {key for key, seen in own.items() if len(seen) > 1}
            for concept, own in values.items()
        }

    def asked(self, truth: Attributes) -> Sequence[str]:
        """Which attributes can be right or wrong of an emoji.

        A tone, say, of a concept that comes in several.
        """
        return ("name", "concept", *sorted(self._varying[truth.concept]))

    def understood(self, caption: str) -> Attributes:
        """The attributes of a caption, of any words.

        Of a name that is not known, the tone and the gender that its words
        name; its concept is not known.
        """
        text = plain(caption)
        if text in self.by_name:
            return self.by_name[text]
        tones = [
            str(_TONES[found.replace(" ", "")]) for found in _TONE.findall(text)
        ]
        people = [_GENDERS[w] for w in text.split() if w in _GENDERS]
        return Attributes(
            text,
            tone="-".join(tones) or "0",
            gender="-".join(people) or "person",
        )
