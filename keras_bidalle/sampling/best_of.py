"""Choosing the best of several pictures of a caption."""

import numpy as np


def checked_candidates(best_of, num_samples, scorer):
    """How many pictures of each caption are to be drawn.

    Args:
        best_of, num_samples, scorer: as of `TextImageModel.text_to_image`.

    Raises:
        ValueError: if they do not fit together.
    """
    if best_of is None:
        if scorer is not None:
            raise ValueError("`scorer` needs `best_of`, which was not given.")
        return num_samples
    if not isinstance(best_of, int) or best_of < num_samples:
        raise ValueError(
            "`best_of` must be an integer of at least `num_samples`, "
            f"{num_samples}. Received: best_of={best_of!r}"
        )
    return best_of


def best(scorer, captions, pictures, each, count):
    """The places of the pairs that score highest, of each few of them.

    Args:
        scorer: as of `TextImageModel.text_to_image`.
        captions: list of n str.
        pictures: array (n, H, W, C).
        each: int, how many pairs in a row compete with each other.
        count: int, how many of those are taken.

    Returns:
        int array (n / each * count,), the best of each first.

    Raises:
        ValueError: if the scorer does not give a number for each pair.
    """
    scores = np.asarray(scorer(captions, pictures), "float64")
    if scores.shape != (len(captions),) or np.isnan(scores).any():
        raise ValueError(
            f"`scorer` must give {len(captions)} numbers. Received: "
            f"shape={scores.shape}, values {scores.tolist()}"
        )
    order = np.argsort(-scores.reshape(-1, each), axis=1, kind="stable")
    return (order[:, :count] + each * np.arange(len(order))[:, None]).ravel()
