"""Precision and recall, density and coverage: whose neighbors are there?"""

from typing import Any

import numpy as np

from keras_bidalle.metrics.frechet import checked_features
from keras_bidalle.validation import check_positive

# Distances of so many features to all others are held at once.
_CHUNK = 512


def precision_recall(real: Any, fake: Any, k: int = 3) -> dict[str, float]:
    """Which share of each set lies where the other one has its features.

    Around every feature of a set lies a ball that reaches to its k-th
    neighbor in that set. A feature of the other set is covered when it lies
    in any of them, or on its surface.

    Args:
        real, fake: arrays (N, D) of features, more than k of each.
        k: int.

    Returns:
        dict of float in [0, 1]: `"precision"`, of `fake` what lies in the
        balls of `real`, and `"recall"`, the other way round.

    Raises:
        ValueError: on other shapes or too few features.

    Reference:
        Kynkaanniemi et al., arXiv 1904.06991, Equations 1 and 2.
    """
    real, fake = _checked(real, fake, k)
    return {
        "precision": _covered(fake, real, _radii(real, k)),
        "recall": _covered(real, fake, _radii(fake, k)),
    }


def density_coverage(real: Any, fake: Any, k: int = 5) -> dict[str, float]:
    """Like precision and recall, but steady where the real set has outliers.

    Args:
        real, fake: arrays (N, D) of features, more than k of each.
        k: int.

    Returns:
        dict of float: `"density"`, in how many balls of `real` (as in
        `precision_recall`, without their surface) a feature of `fake` lies
        on average, divided by k, which may exceed 1; and `"coverage"`, in
        [0, 1], the share of balls of `real` that hold a feature of `fake`.

    Raises:
        ValueError: on other shapes or too few features.

    Reference:
        Naeem et al., arXiv 2002.09797, Equations 5 and 6.
    """
    real, fake = _checked(real, fake, k)
    radii = _radii(real, k)
    inside, covered = 0, np.zeros(len(real), bool)
    for rows in _chunks(fake):
        found = _distances(rows, real) < radii
        inside += int(found.sum())
        covered |= found.any(axis=0)
    return {
        "density": inside / (k * len(fake)),
        "coverage": float(covered.mean()),
    }


def _checked(real: Any, fake: Any, k: int) -> tuple[np.ndarray, np.ndarray]:
    check_positive(k=k)
    real, fake = checked_features(real, "real"), checked_features(fake, "fake")
    if real.shape[1] != fake.shape[1] or min(len(real), len(fake)) <= k:
        raise ValueError(
            f"`real` and `fake` must be more than k={k} features of one "
            f"size. Received: shapes {real.shape} and {fake.shape}"
        )
    return real, fake


def _covered(
    features: np.ndarray, centers: np.ndarray, radii: np.ndarray
) -> float:
    inside = [
        (_distances(rows, centers) <= radii).any(axis=1)
        for rows in _chunks(features)
    ]
    return float(np.concatenate(inside).mean())


def _radii(features: np.ndarray, k: int) -> np.ndarray:
    """The squared distance of each to its k-th neighbor, itself not one."""
    return np.concatenate(
        [
            np.partition(_distances(rows, features), k, axis=1)[:, k]
            for rows in _chunks(features)
        ]
    )


def _distances(rows: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Squared distances (n, N)."""
    squares = (rows**2).sum(axis=1)[:, None] + (others**2).sum(axis=1)
    return np.maximum(squares - 2.0 * rows @ others.T, 0.0)


def _chunks(features: np.ndarray) -> list[np.ndarray]:
    return [features[i : i + _CHUNK] for i in range(0, len(features), _CHUNK)]
