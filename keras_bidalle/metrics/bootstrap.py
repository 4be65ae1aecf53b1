"""How far a figure would move with other pictures."""

from collections.abc import Callable

import numpy as np

from keras_bidalle.validation import check_positive


def bootstrap_spread(
    figure: Callable[[np.ndarray], float],
    count: int,
    replicates: int = 100,
    seed: int = 0,
) -> float:
    """The standard deviation of a figure over resampled pictures.

    Args:
        figure: function of the indices of `count` pictures, drawn with
            replacement, to the figure of them.
        count: int, pictures there are.
        replicates: int, how often they are drawn.
        seed: int.

    Returns:
        float, the standard deviation (n - 1) over the replicates; 0.0 with
        one.

    Reference:
        Efron, "Bootstrap methods: another look at the jackknife" (1979).
    """
    check_positive(count=count, replicates=replicates)
    rng = np.random.default_rng(seed)
    values = [
        figure(rng.integers(count, size=count)) for _ in range(replicates)
    ]
    return float(np.std(values, ddof=1)) if replicates > 1 else 0.0
