"""The kernel distance between two sets of features, as KID has it."""

from typing import Any

import numpy as np

from keras_bidalle.metrics.frechet import checked_features
from keras_bidalle.validation import check_positive


def kernel_distance(
    real: Any,
    fake: Any,
    subsets: int = 100,
    subset_size: int = 1000,
    seed: int = 0,
) -> tuple[float, float]:
    """The squared maximum mean discrepancy, unbiased, over random subsets.

    The kernel is (x . y / D + 1)^3. It is 0 on average for equal
    distributions, however few the features, and may be negative. Where both
    sets are no larger than a subset, all of them are compared once.

    Args:
        real, fake: arrays (N, D) of features, two of each at least.
        subsets: int, how many are drawn.
        subset_size: int, features of each, drawn without replacement; at
            most as many as the smaller set has.
        seed: int.

    Returns:
        Tuple of two floats: the mean over subsets, and their standard
        deviation.

    Raises:
        ValueError: on other shapes, or fewer than two features.

    Reference:
        Binkowski et al., arXiv 1801.01401, section 4.
    """
    check_positive(subsets=subsets, subset_size=subset_size)
    real, fake = checked_features(real, "real"), checked_features(fake, "fake")
    size = min(subset_size, len(real), len(fake))
    if real.shape[1] != fake.shape[1] or size < 2:
        raise ValueError(
            "`real` and `fake` must be two or more features of one size. "
            f"Received: shapes {real.shape} and {fake.shape}"
        )
    if subset_size >= max(len(real), len(fake)):
        return _discrepancy(real, fake), 0.0
    rng = np.random.default_rng(seed)

    def subset(features: np.ndarray) -> np.ndarray:
        return features[rng.choice(len(features), size, replace=False)]

    values = [_discrepancy(subset(real), subset(fake)) for _ in range(subsets)]
    return float(np.mean(values)), float(np.std(values))


def _discrepancy(real: np.ndarray, fake: np.ndarray) -> float:
    """Gretton et al. (2012), Equation 3."""

    def kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return (a @ b.T / a.shape[1] + 1.0) ** 3

    def within(features: np.ndarray) -> float:
        values = kernel(features, features)
        count = len(features)
        return (values.sum() - np.trace(values)) / (count * (count - 1))

    return float(within(real) + within(fake) - 2.0 * kernel(real, fake).mean())
