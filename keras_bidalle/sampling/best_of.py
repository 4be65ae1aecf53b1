"""Choosing the best of several samples of a row."""

import numpy as np

from keras_bidalle.messages import shown
from keras_bidalle.validation import check_positive, is_integer


class Candidates:
    """How many samples are drawn of each row, and which of them are kept.

    Arguments are those of `TextImageModel.text_to_image`; of its `options`
    come those of the generator, which is to draw `count` samples.
    """

    def __init__(self, options, best_of, scorer, default_scorer):
        if best_of is None and scorer is not None:
            raise ValueError("`scorer` needs `best_of`, which was not given.")
        self.num_samples = options.get("num_samples", 1)
        check_positive(num_samples=self.num_samples)
        self.count = self.num_samples if best_of is None else best_of
        if best_of is not None and (
            not is_integer(best_of) or best_of < self.num_samples
        ):
            raise ValueError(
                "`best_of` must be an integer of at least `num_samples`, "
                f"{self.num_samples}. Received: best_of={shown(best_of)}"
            )
        self.options = {**options, "num_samples": self.count}
        self._chooses = best_of is not None
        self._scorer = scorer or default_scorer

    def kept(self, captions, pictures):
        """Indices of the pairs that are kept, the best of each row first.

        One of `captions`, a list, and `pictures`, uint8 (n, H, W, C), has
        `count` entries a row, the other one.
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
        order = np.argsort(-scores, axis=1, kind="stable")[
            :, : self.num_samples
        ]
        return (order + self.count * np.arange(len(order))[:, None]).ravel()
