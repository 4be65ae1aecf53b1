"""Text to image: how many of a caption's clauses an image shows."""

from typing import Any

import numpy as np

from keras_bidalle.tasks.mnist64.by_layout import report_by_layout
from keras_bidalle.tasks.mnist64.pictures import CANVAS, item_crops
from keras_bidalle.validation import as_model_images


def image_accuracy(
    images: Any, clauses: Any, layouts: Any, classifier: Any
) -> Any:
    """Scores generated images against their captions.

    The classifier reads the 28x28 crop at each captioned place. A clause is
    right when it sees the clause's color and item there.

    Args:
        images: array (B, 64, 64, 3), uint8 or float in [-1, 1].
        clauses: int array (B, 4, 3), what the captions say, unused ones -1.
        layouts: int array (B,), values in [0, 5).
        classifier: `ItemClassifier`, trained.

    Returns:
        dict from each layout's name, `"overall"` (mean over the layouts) and
        `"pooled"` (over all clauses) to a dict: `"accuracy"`,
        `"color_accuracy"` and `"item_accuracy"`, shares of the clauses, and
        `"pictures"`, the number of images.

    Raises:
        ValueError: on images of another size or range, or when the numbers
            of images, clauses and layouts differ or are zero.

    Reference:
        TE-VQGAN, https://arxiv.org/abs/2112.00384, section 4, `ImgAcc` of
        the released code.
    """
    images = as_model_images(images, (CANVAS, CANVAS, 3))
    clauses = np.asarray(clauses)
    if len(images) != len(clauses):
        raise ValueError(
            "`images` and `clauses` must be as many. Received: "
            f"{len(images)} and {len(clauses)}"
        )
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
    counts = {
        name: np.bincount(rows, weights=hits, minlength=len(images))
        for name, hits in right.items()
    }
    truths = np.bincount(rows, minlength=len(images))
    return report_by_layout(layouts, truths, counts)
