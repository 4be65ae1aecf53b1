"""The table of sampling settings, which everything that takes them follows.

A setting is one field of `SamplingSettings`: its type, and a `Setting` that
says the rest. Calls of models, their help, command lines, the demo page and
the signatures, card and checks of serving are made from the table. A new
setting is a field here and its use in `sampler`.

Every setting is one value, or one a row, or, where a position has several
codes, an array (rows or 1, codes) with a value for each code of a position.
"""

import dataclasses
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, TypedDict

import numpy as np

from keras_bidalle.backend.current import is_eager
from keras_bidalle.messages import shown
from keras_bidalle.validation import as_array

TEXT_TO_IMAGE, IMAGE_TO_TEXT = "text_to_image", "image_to_text"

# Beside 0. What is smaller is 0 to some processors, and what is divided by it
# infinite.
SMALLEST = 1e-30

Floats = float | Sequence[float] | np.ndarray | None
Integers = int | Sequence[int] | np.ndarray | None


@dataclasses.dataclass(frozen=True)
class Setting:
    """What is known of one setting.

    Values lie from `low` to `high`, without `low` where `excludes_low`.

    Args:
        meaning: str, what it does, in one sentence.
        dtype: str, "float32" or "int32".
        defaults: dict from direction to number; without one, `None` is the
            default and stands for leaving the step out.
        sampled: number, taken in the place of a default of 0 where several
            samples of a row are drawn, which would all be equal.
        neutral: number, of a filter: what keeps every token, for rows that
            set no filter in a program that has them, and for servers, where
            no input can be left out.
        idle: number that changes nothing: rows that all have it are drawn
            without the step.
        needs: str, the attribute of a generator that must be above 0.
        examples: tuple of three numbers, the first to begin with, the
            greatest the most that one usually tries.
        name: str, filled in from the table.
    """

    meaning: str
    dtype: str
    low: float
    high: float | None = None
    excludes_low: bool = False
    defaults: dict[str, float] = dataclasses.field(default_factory=dict)
    sampled: float | None = None
    neutral: float | None = None
    idle: float | None = None
    needs: str | None = None
    examples: tuple[float, ...] = ()
    name: str = ""

    @property
    def kind(self) -> type:
        """The Python type of one value: `int` or `float`."""
        return int if self.dtype == "int32" else float

    @property
    def range(self) -> str:
        """The values that are allowed, in words."""
        if self.high is not None:
            bracket = "(" if self.excludes_low else "["
            return f"in {bracket}{self.low:g}, {self.high:g}]"
        bound = f"{'above' if self.excludes_low else 'at least'} {self.low:g}"
        if self.kind is int:
            return f"{bound} and below 2^31"
        return f"finite and {bound}"

    def within(self, values: Any) -> Any:
        """Which values of an array or tensor are in range; NaN is not."""
        limits = np.iinfo if self.kind is int else np.finfo
        high = limits(self.dtype).max if self.high is None else self.high
        inside = values > self.low if self.excludes_low else values >= self.low
        if self.kind is float:
            inside = inside & ((values == 0.0) | (values >= SMALLEST))
        return inside & (values <= self.kind(high))

    def default(self, direction: str, own: Mapping[str, Any]) -> Any:
        """The default of a model with defaults of its own, by direction."""
        value = own.get(direction, {}).get(self.name)
        return self.defaults.get(direction) if value is None else value

    def default_text(self, own: Mapping[str, Any]) -> str:
        """The default of a model, in words, or ""."""
        values = [self.default(d, own) for d in (TEXT_TO_IMAGE, IMAGE_TO_TEXT)]
        texts = [self.neutral if value is None else value for value in values]
        texts = [f"{x:g}" if isinstance(x, int | float) else x for x in texts]
        if texts[0] != texts[1]:
            found = zip(texts, ("pictures", "captions"), strict=True)
            return "Default: " + ", ".join(
                f"{text} for {kind}" for text, kind in found if text is not None
            )
        if texts[0] is None:
            return ""
        keeps = ", which keeps all" if values == [None, None] else ""
        return f"Default: {texts[0]}{keeps}"

    def wrong(self) -> list[float]:
        """Values that are refused, for checks of servers."""
        least = (
            self.low if self.neutral is None else min(self.low, self.neutral)
        )
        found = [least - 1]
        if self.excludes_low:
            found.append(self.low)
        if self.high is not None:
            found.append(self.high + 1)
        return found

    def checked(self, value: Any, count: int, stack: int = 1) -> np.ndarray:
        """A value that a caller gave, for rows of stacks of codes.

        Args:
            value: number, or array of `count`, or (`count` or 1, `stack`).
            count, stack: int, the rows, and the codes of a position.

        Returns:
            NumPy array (count,) or (count, stack).

        Raises:
            ValueError: on another shape or dtype, or out of the range.
        """
        array = as_array(self.name, value)
        shapes: list[tuple[int, ...]] = [(), (count,)]
        if stack > 1:
            # Not (stack,): what it means would depend on the batch size.
            shapes += [(1, stack), (count, stack)]
        if (
            array.dtype.kind not in ("iu" if self.kind is int else "iuf")
            or array.shape not in shapes
            or not np.all(self.within(array))
        ):
            each = (
                f", or an array ({count} or 1, {stack}) with one for each "
                "code of a position"
                if stack > 1
                else ""
            )
            raise ValueError(
                f"`{self.name}` must be {self.range}, one value or "
                f"{count}{each}. Received: {self.name}={shown(value)}"
            )
        shape = (count, *array.shape[1:])
        return np.broadcast_to(array, shape).astype(self.dtype)


class SamplingSettings(TypedDict, total=False):
    """The settings that calls take by name, all optional."""

    temperature: Annotated[
        Floats,
        Setting(
            "divides the logits: below 1 likely tokens come more often, and "
            "0 takes the likeliest each time",
            dtype="float32",
            low=0,
            # Of more, what is never to be drawn would be likely, too.
            high=1000,
            defaults={TEXT_TO_IMAGE: 1.0, IMAGE_TO_TEXT: 0.0},
            sampled=1.0,
            examples=(1.0, 0.0, 2.0),
        ),
    ]
    top_k: Annotated[
        Integers,
        Setting(
            "keeps the k likeliest tokens",
            dtype="int32",
            low=1,
            neutral=0,
            examples=(0, 3, 1000),
        ),
    ]
    top_p: Annotated[
        Floats,
        Setting(
            "keeps the likeliest tokens that together reach this share of "
            "the probability that `top_k` keeps",
            dtype="float32",
            low=0,
            high=1,
            excludes_low=True,
            neutral=1.0,
            examples=(1.0, 0.9, 0.5),
        ),
    ]
    min_p: Annotated[
        Floats,
        Setting(
            "keeps tokens of at least this share of the likeliest one's "
            "probability",
            dtype="float32",
            low=0,
            high=1,
            neutral=0.0,
            examples=(0.0, 0.1, 1.0),
        ),
    ]
    guidance_scale: Annotated[
        Floats,
        Setting(
            "how hard to follow the condition: 1 as trained, 2 harder, at "
            "twice the work",
            dtype="float32",
            low=0,
            high=1000,
            idle=1.0,
            needs="condition_dropout",
            examples=(2.0, 0.5, 5.0),
        ),
    ]


# A server takes the seed as one more input of each row.
SEED = Setting(
    "the same row with the same seed gives the same answer",
    dtype="int32",
    low=0,
    defaults={TEXT_TO_IMAGE: 0, IMAGE_TO_TEXT: 0},
    examples=(0, 7, 14),
    name="seed",
)
HINTS = typing.get_type_hints(SamplingSettings, include_extras=True)
SETTINGS: dict[str, Setting] = {
    name: dataclasses.replace(hint.__metadata__[0], name=name)
    for name, hint in HINTS.items()
}


def checked_settings(settings, direction, count, generator, several=False):
    """Settings that a caller gave, with defaults, as arrays.

    What is not given is the generator's own default, or that of the table;
    `several` says whether more than one sample of each row is drawn. Where
    programs are compiled, all filters are there if any filter is.

    Raises:
        TypeError: on a name that is not in the table.
        ValueError: if one is out of its range, or the generator was not
            trained for it.
    """
    unknown = [name for name in settings if name not in SETTINGS]
    if unknown:
        raise TypeError(
            f"Unknown arguments: {', '.join(unknown)}. The sampling settings "
            f"are {', '.join(SETTINGS)}."
        )
    stack = 1
    if direction == TEXT_TO_IMAGE:
        stack = generator.codes_per_position
    checked = {}
    for name, setting in SETTINGS.items():
        value = settings.get(name)
        if value is None:
            value = setting.default(direction, generator.sampling_defaults)
            if several and setting.sampled is not None and not np.any(value):
                value = setting.sampled
        if value is None:
            continue
        checked[name] = setting.checked(value, count, stack)
        if setting.needs and not getattr(generator, setting.needs):
            raise ValueError(
                f"`{name}` needs a generator trained with `{setting.needs}` "
                "above 0, which this one was not."
            )
        if setting.idle is not None and np.all(checked[name] == setting.idle):
            del checked[name]
    filters = {
        name: np.full((count,), setting.neutral, setting.dtype)
        for name, setting in SETTINGS.items()
        if setting.neutral is not None
    }
    if filters.keys() & checked.keys() and not is_eager():
        # One program for whatever filters are given.
        return {**filters, **checked}
    return checked


def checked_defaults(defaults, generator):
    """Settings by direction that a generator is to take where none is given.

    What is returned cannot be changed.

    Raises:
        ValueError: on another direction, or as `checked_settings`.
    """
    kept = {}
    for direction, settings in dict(defaults).items():
        if direction not in (TEXT_TO_IMAGE, IMAGE_TO_TEXT) or not isinstance(
            settings, Mapping
        ):
            raise ValueError(
                f"`sampling_defaults` must be a dict from '{TEXT_TO_IMAGE}' "
                f"and '{IMAGE_TO_TEXT}' to settings. "
                f"Received: {shown(defaults)}"
            )
        given = {k: v for k, v in settings.items() if v is not None}
        checked_settings(given, direction, 1, generator)
        plain = {}
        for name, value in given.items():
            array = np.asarray(value)
            if array.ndim == 1:
                raise ValueError(
                    f"`sampling_defaults` must have one {name} for all rows. "
                    f"Received: {name}={shown(value)}"
                )
            # As JSON, which presets are kept in.
            plain[name] = array.tolist()
        kept[direction] = types.MappingProxyType(plain)
    return types.MappingProxyType(kept)


def without_neutral(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings of single values, less the filters that keep everything."""
    return {
        name: value
        for name, value in settings.items()
        if value is not None and value != SETTINGS[name].neutral
    }
