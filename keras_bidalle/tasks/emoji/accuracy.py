"""Shares of what was asked that is right, with their spread."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_bidalle.tasks.emoji.attributes import (
    ATTRIBUTES,
    Attributes,
    KnownEmoji,
)


def share(right: Sequence[bool]) -> dict[str, Any]:
    """A share with its spread.

    Returns:
        dict: `accuracy`, float in [0, 1]; `spread`, its standard error;
        `count`, int.
    """
    values = np.asarray(right, "float64")
    accuracy = float(values.mean())
    spread = float(np.sqrt(accuracy * (1 - accuracy) / len(values)))
    return {"accuracy": accuracy, "spread": spread, "count": len(values)}


def attribute_accuracy(
    found: Sequence[Attributes],
    truths: Sequence[Attributes],
    known: KnownEmoji,
    names: Sequence[str] = ATTRIBUTES,
) -> dict[str, Any]:
    """How often each attribute is right, where it can be asked.

    Args:
        found: sequence of `Attributes`, what a reader says.
        truths: sequence of `Attributes`, as many.
        known: `KnownEmoji`, says what can be asked.
        names: sequence of str, the attributes of interest.

    Returns:
        dict from an attribute, and from "all" for all of an emoji at once
        (but its name), to what `share` gives. Attributes that none of the
        emoji has are left out.
    """
    right: dict[str, list[bool]] = {}
    for one, truth in zip(found, truths, strict=True):
        asked = [name for name in known.asked(truth) if name in names]
        each = {n: getattr(one, n) == getattr(truth, n) for n in asked}
        for name, is_right in each.items():
            right.setdefault(name, []).append(is_right)
        parts = [value for name, value in each.items() if name != "name"]
        right.setdefault("all", []).append(all(parts))
    order = (*ATTRIBUTES, "all")
    return {name: share(right[name]) for name in order if name in right}


def ranking(ranks: Sequence[int]) -> dict[str, Any]:
    """Figures of retrieval.

    Args:
        ranks: sequence of int, of what was looked for; 1 is the first.

    Returns:
        dict: `mean_reciprocal_rank` and `recall_at_1`, `_5`, `_10`, float
        in [0, 1]; `spread`, the standard error of the first; `count`.
    """
    places = np.asarray(ranks, "float64")
    inverse = 1.0 / places
    return {
        "mean_reciprocal_rank": float(inverse.mean()),
        "spread": float(inverse.std() / np.sqrt(len(places))),
        **{f"recall_at_{k}": float((places <= k).mean()) for k in (1, 5, 10)},
        "count": len(places),
    }
