"""Clause counts, averaged the way both directions report them."""

import numpy as np

from keras_bidalle.tasks.mnist64.grammar import LAYOUTS


def report_by_layout(layouts, truths, counts):
    """Shares of right clauses by layout, over layouts, and over all clauses.

    Args:
        layouts: int array (B,), values in [0, 5).
        truths: int array (B,), ground-truth clauses of each image.
        counts: dict from a figure's name to an int array (B,): how many of an
            image's clauses count.

    Returns:
        dict: a dict of the figures under each layout's name (`"center"`,
        `"quad1"` to `"quad4"`; layouts without an image are left out),
        `"overall"`, their mean over the layouts present, and `"pooled"`, all
        clauses counted alike. `"pictures"` is the number of images.
    """
    layouts = np.asarray(layouts)
    if layouts.shape != np.shape(truths) or not len(layouts):
        raise ValueError(
            "`layouts` must have one integer a picture, and there must be "
            f"pictures. Received: shape={layouts.shape} for "
            f"{len(truths)} pictures"
        )

    def shares(rows):
        total = truths[rows].sum()
        return {
            name: float(count[rows].sum() / total)
            for name, count in counts.items()
        }

    report = {
        name: shares(layouts == layout) | {"pictures": int(here)}
        for layout, name in enumerate(LAYOUTS)
        if (here := (layouts == layout).sum())
    }
    overall = {
        name: float(np.mean([figures[name] for figures in report.values()]))
        for name in counts
    }
    everything = np.ones(len(layouts), bool)
    pictures = {"pictures": len(layouts)}
    report["overall"] = overall | pictures
    report["pooled"] = shares(everything) | pictures
    return report
