"""Image to text: how many of an image's clauses a caption gets right."""

from typing import Any

import numpy as np

from keras_bidalle.tasks.mnist64.by_layout import report_by_layout


def caption_accuracy(
    captions: Any, clauses: Any, layouts: Any, grammar: Any
) -> Any:
    """Scores generated captions against what the images show.

    A ground-truth clause is right when the caption has a clause with its
    location, color and item. It is counted once: repeating a right clause
    earns nothing and counts as extra.

    Args:
        captions: list of B str, as generated.
        clauses: int array (B, 4, 3), the ground truth, unused clauses -1.
        layouts: int array (B,), values in [0, 5).
        grammar: `CaptionGrammar`, reads the captions.

    Returns:
        dict from each layout's name, `"overall"` (mean over the layouts) and
        `"pooled"` (over all clauses) to a dict of float, as shares of the
        ground-truth clauses: `"accuracy"`; `"color_accuracy"` and
        `"item_accuracy"`, where only location and color, or location and
        item, have to match; `"extra_clauses"`, clauses of the caption that
        are not a ground-truth clause counted for the first time (can exceed
        1). `"pictures"` is the number of images.

    Raises:
        ValueError: when the numbers of captions, clauses and layouts differ
            or are zero.

    Reference:
        TE-VQGAN, https://arxiv.org/abs/2112.00384, section 4; the released
        `count_correct` pays repeated clauses again, this does not.
    """
    clauses = np.asarray(clauses)
    if len(captions) != len(clauses):
        raise ValueError(
            "`captions` and `clauses` must be as many. Received: "
            f"{len(captions)} and {len(clauses)}"
        )
    names = ("accuracy", "color_accuracy", "item_accuracy", "extra_clauses")
    counts = {name: np.zeros(len(captions), "int64") for name in names}
    for i, (caption, rows) in enumerate(zip(captions, clauses, strict=True)):
        truth = {tuple(row) for row in rows.tolist() if row[0] >= 0}
        read = grammar.parse(caption)
        right = truth.intersection(read)
        colors = {(location, color) for location, color, _ in read}
        items = {(location, item) for location, _, item in read}
        counts["accuracy"][i] = len(right)
        counts["color_accuracy"][i] = sum(
            (location, color) in colors for location, color, _ in truth
        )
        counts["item_accuracy"][i] = sum(
            (location, item) in items for location, _, item in truth
        )
        counts["extra_clauses"][i] = len(read) - len(right)
    truths = (clauses[..., 0] >= 0).sum(axis=1)
    return report_by_layout(layouts, truths, counts)
