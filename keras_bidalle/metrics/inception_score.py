"""The Inception score: sure of each image, and of many classes in all."""

from typing import Any

import numpy as np

from keras_bidalle.metrics.frechet import checked_features
from keras_bidalle.validation import check_positive, refused


def inception_score(
    probabilities: Any, splits: int = 10, seed: int | None = None
) -> tuple[float, float]:
    """exp of the mean divergence of each image's classes from those of all.

    Args:
        probabilities: array (N, classes), each row adding up to 1.
        splits: int, parts that are scored each by itself; at most N.
        seed: int to shuffle the images before they are split, `None` to
            keep their order.

    Returns:
        Tuple of two floats: the mean over the splits, in [1, classes], and
        their standard deviation.

    Raises:
        ValueError: on other shapes, rows that are no probabilities, or
            fewer images than splits.

    Reference:
        Salimans et al., arXiv 1606.03498, section 4.
    """
    check_positive(splits=splits)
    rows = checked_features(probabilities, "probabilities")
    if (rows < 0).any() or not np.allclose(rows.sum(axis=1), 1.0, atol=1e-4):
        raise ValueError(
            "`probabilities` must be rows of probabilities, each adding up "
            "to 1. Received: other rows"
        )
    if len(rows) < splits:
        raise refused(
            f"be at most the number of images, {len(rows)}", splits=splits
        )
    if seed is not None:
        rows = np.random.default_rng(seed).permutation(rows)
    bounds = [len(rows) * i // splits for i in range(splits + 1)]
    scores = [
        _score(rows[first:last])
        for first, last in zip(bounds, bounds[1:], strict=False)
    ]
    return float(np.mean(scores)), float(np.std(scores))


def _score(rows: np.ndarray) -> float:
    marginal = rows.mean(axis=0, keepdims=True)
    # 0 log 0 is 0; where a row has something, so has the mean.
    seen = rows > 0
    ratio = np.divide(rows, marginal, out=np.ones_like(rows), where=seen)
    return float(np.exp((rows * np.log(ratio)).sum(axis=1).mean()))
