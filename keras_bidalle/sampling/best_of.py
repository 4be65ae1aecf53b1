"""Choosing the best of several samples of a row."""

import numpy as np


class Candidates:
    """How many samples are drawn of each row, and which of them are kept.

    Args:
        num_samples, best_of, scorer: as in `TextImageModel.text_to_image`.
        default_scorer: function, taken where `scorer` is `None`.

    Attributes:
        count: int, how many are drawn of each row.

    Raises:
        ValueError: if they do not fit together.
    """

    def __init__(self, num_samples, best_of, scorer, default_scorer):
        if best_of is None and scorer is not None:
            raise ValueError("`scorer` needs `best_of`, which was not given.")
        if best_of is not None and (
            not isinstance(best_of, int) or best_of < num_samples
        ):
            raise ValueError(
                "`best_of` must be an integer of at least `num_samples`, "
                f"{num_samples}. Received: best_of={best_of!r}"
            )
        self.count = num_samples if best_of is None else best_of
        self._kept = num_samples
        self._chooses = best_of is not None
        self._scorer = scorer or default_scorer

    def kept(self, captions, pictures):
        """The pairs that are kept, the best of each row first.

        Args:
            captions, pictures: list of str and uint8 array (n, H, W, C), one
                of them with `count` entries a row, the other with one.

        Returns:
            int array (rows * num_samples,), indices of pairs.

        Raises:
            ValueError: if the scorer does not give a number for each pair.
        """
        total = max(len(captions), len(pictures))
        if not self._chooses:
            return np.arange(total)
        if total > len(captions):
            captions = [text for text in captions for _ in range(self.count)]
        if total > len(pictures):
            pictures = np.repeat(pictures, self.count, axis=0)
        scores = np.asarray(self._scorer(captions, pictures), "float64")
        if scores.shape != (total,) or np.isnan(scores).any():
            raise ValueError(
                f"`scorer` must give {total} numbers. Received: "
                f"shape={scores.shape}, values {scores.tolist()}"
            )
        scores = scores.reshape(-1, self.count)
        order = np.argsort(-scores, axis=1, kind="stable")[:, : self._kept]
        return (order + self.count * np.arange(len(order))[:, None]).ravel()
