"""How many clauses come out right, in either direction.

Both reports are dicts from each layout's name (`"center"`, `"quad1"` to
`"quad4"`, as far as there are images of it), `"overall"`, the mean over those
layouts, and `"pooled"`, all clauses counted alike, to a dict: shares of the
clauses that there are (float), and `"pictures"`, the number of images.

TE-VQGAN, https://arxiv.org/abs/2112.00384, section 4.
"""

from typing import Any

import numpy as np

from keras_bidalle.tasks.mnist64.grammar import LAYOUTS, CaptionGrammar
from keras_bidalle.tasks.mnist64.pictures import CANVAS, item_crops
from keras_bidalle.validation import as_model_images


def caption_accuracy(
    captions: list[str], clauses: Any, layouts: Any, grammar: CaptionGrammar
) -> dict[str, Any]:
    """Image to text: scores captions against what the images show.

    A clause is counted once: repeating a right one earns nothing and counts
    as extra, where the released `count_correct` pays it again.

    Args:
        captions: list of B str, as generated.
        clauses: int array (B, 4, 3), the truth, unused clauses -1.
        layouts: int array (B,), values in [0, 5).
        grammar: reads the captions.

    Returns:
        Shares `"accuracy"`; `"color_accuracy"` and `"item_accuracy"`, where
        the location and that must be right; and `"extra_clauses"`, what else
        the captions say (can exceed 1).

    Raises:
        ValueError: when there are none, or not as many of each.
    """
    counts = clauses_read(captions, clauses, grammar)
    return _by_layout(layouts, clauses, counts)


def image_accuracy(
    images: Any, clauses: Any, layouts: Any, classifier: Any
) -> dict[str, Any]:
    """Text to image: scores images against their captions.

    The classifier reads the 28x28 crop at each captioned place.

    Args:
        images: array (B, 64, 64, 3), uint8 or float in [-1, 1].
        clauses: int array (B, 4, 3), what the captions say, unused ones -1.
        layouts: int array (B,), values in [0, 5).
        classifier: `ItemClassifier`, trained.

    Returns:
        Shares `"accuracy"`, `"color_accuracy"` and `"item_accuracy"`.

    Raises:
        ValueError: on images of another size or range, or when there are
            none, or not as many of each.
    """
    counts = clauses_shown(images, clauses, classifier)
    return _by_layout(layouts, clauses, counts)


def clauses_read(
    captions: list[str], clauses: Any, grammar: CaptionGrammar
) -> dict[str, np.ndarray]:
    """How many clauses each caption has: dict of int (B,), by figure.

    Takes, and raises, what `caption_accuracy` does.
    """
    clauses = _as_many("captions", captions, clauses)
    rows = []
    for caption, shown in zip(captions, clauses, strict=True):
        truth = {tuple(clause) for clause in shown.tolist() if clause[0] >= 0}
        read = grammar.parse(caption)
        right = len(truth.intersection(read))
        colors = {(location, color) for location, color, _ in read}
        items = {(location, item) for location, _, item in read}
        rows.append(
            (
                right,
                sum(
                    (location, color) in colors for location, color, _ in truth
                ),
                sum((location, item) in items for location, _, item in truth),
                len(read) - right,
            )
        )
    names = ("accuracy", "color_accuracy", "item_accuracy", "extra_clauses")
    counts = np.asarray(rows, "int64").reshape(-1, len(names)).T
    return dict(zip(names, counts, strict=True))


def clauses_shown(
    images: Any, clauses: Any, classifier: Any
) -> dict[str, np.ndarray]:
    """How many clauses each image shows: dict of float64 (B,), by figure.

    Takes, and raises, what `image_accuracy` does.
    """
    images = as_model_images(images, (CANVAS, CANVAS, 3))
    clauses = _as_many("images", images, clauses)
    rows, slots = np.nonzero(clauses[..., 0] >= 0)
    location, color, item = clauses[rows, slots].T
    seen_color, seen_item = classifier.classify(
        item_crops(images[rows], location)
    )
    right = {
        "accuracy": (seen_color == color) & (seen_item == item),
        "color_accuracy": seen_color == color,
        "item_accuracy": seen_item == item,
    }
    return {
        name: np.bincount(rows, weights=hits, minlength=len(images))
        for name, hits in right.items()
    }


def _as_many(name, values, clauses):
    clauses = np.asarray(clauses)
    if len(values) != len(clauses):
        raise ValueError(
            f"`{name}` and `clauses` must be as many. Received: "
            f"{len(values)} and {len(clauses)}"
        )
    return clauses


def _by_layout(layouts, clauses, counts):
    """Shares by layout: `counts` (dict of numbers (B,)) of the clauses."""
    layouts = np.asarray(layouts)
    truths = (np.asarray(clauses)[..., 0] >= 0).sum(axis=-1)
    if layouts.shape != np.shape(truths) or not len(layouts):
        raise ValueError(
            "`layouts` must have one integer a picture, and there must be "
            f"pictures. Received: shape={layouts.shape} for "
            f"{len(truths)} pictures"
        )

    def shares(rows):
        total = truths[rows].sum()
        figures = {n: float(c[rows].sum() / total) for n, c in counts.items()}
        return figures | {"pictures": int(rows.sum())}

    report = {
        name: shares(layouts == layout)
        for layout, name in enumerate(LAYOUTS)
        if (layouts == layout).any()
    }
    pooled = shares(np.ones(len(layouts), bool))
    overall = {
        name: float(np.mean([figures[name] for figures in report.values()]))
        for name in counts
    }
    return {
        **report,
        "overall": overall | {"pictures": len(layouts)},
        "pooled": pooled,
    }
