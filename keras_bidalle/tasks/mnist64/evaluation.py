"""MNIST64 as a data set to be evaluated on, with its judge."""

from typing import Any

import numpy as np
from keras import ops

from keras_bidalle.data import ImageSource, Record
from keras_bidalle.metrics.extractors import Extractor
from keras_bidalle.tasks.mnist64.accuracy import clauses_read, clauses_shown
from keras_bidalle.tasks.mnist64.digits import ITEM_SIZE
from keras_bidalle.tasks.mnist64.grammar import COLORS, LAYOUTS
from keras_bidalle.tasks.mnist64.pictures import (
    CANVAS,
    CORNERS,
    MNIST64,
    NUM_ITEMS,
    MNIST64Batch,
)


class MNIST64Images(ImageSource):
    """Pictures of a split, as many of each layout: those of the task's report.

    Args:
        task: `MNIST64`.
        per_layout: int, pictures of each of the five layouts.
        seed: int.
        listed: bool, whether captions are written in a way that the grammar
            never has: the first phrasing of each clause, commas between
            them, and no "and".
    """

    def __init__(
        self,
        task: MNIST64,
        per_layout: int = 100,
        seed: int = 0,
        listed: bool = False,
    ) -> None:
        self.listed = listed
        self.per_layout = per_layout
        self.batches: list[MNIST64Batch] = [
            task.sample(per_layout, seed=(seed, layout), layout=layout)
            for layout in range(len(LAYOUTS))
        ]
        self.description = (
            f"MNIST64, {task.split}, {per_layout} pictures a layout, seed "
            f"{seed}{', captions as lists' if listed else ''}"
        )

    def __len__(self) -> int:
        return self.per_layout * len(self.batches)

    def name(self, index: int) -> str:
        return f"MNIST64 picture {index}"

    def read(self, index: int) -> Record:
        layout, place = divmod(index, self.per_layout)
        batch = self.batches[layout]
        caption = batch.captions[place]
        if self.listed:
            clauses = [c for c in batch.clauses[place] if c[0] >= 0]
            written = [batch.grammar.clause(c, 0) for c in clauses]
            caption = " , ".join(written) + " ."
        return Record(batch.images[place], [caption])

    def clauses(self, indices: Any) -> np.ndarray:
        """What pictures show: int32 (B, 4, 3), as in `MNIST64Batch`."""
        layouts, places = np.divmod(np.asarray(indices), self.per_layout)
        return np.stack(
            [
                self.batches[layout].clauses[place]
                for layout, place in zip(layouts, places, strict=True)
            ]
        )


class MNIST64Judge:
    """Tells how many clauses of a caption a picture, or a text, has right.

    Args:
        source: `MNIST64Images`.
        classifier: what has `classify`, as `ItemClassifier` has.
        grammar: `CaptionGrammar`.
        name: str, of the classifier.
    """

    figure = "right_clauses"

    def __init__(
        self, source: MNIST64Images, classifier: Any, grammar: Any, name: str
    ) -> None:
        self.source = source
        self.classifier = classifier
        self.grammar = grammar
        self.name = name

    def of_images(self, images: np.ndarray, indices: Any) -> np.ndarray:
        """How many clauses each picture shows: float64 (B,).

        Args:
            images: uint8 array (B, 64, 64, 3).
            indices: int array (B,), of the examples that they are of.
        """
        clauses = self.source.clauses(indices)
        return clauses_shown(images, clauses, self.classifier)["accuracy"]

    def of_captions(self, captions: list[str], indices: Any) -> np.ndarray:
        """How many clauses each text has: float64 (B,)."""
        clauses = self.source.clauses(indices)
        right = clauses_read(captions, clauses, self.grammar)["accuracy"]
        return right.astype("float64")

    def shares(self, right: np.ndarray, indices: Any) -> np.ndarray:
        """The share of each example's clauses: float64 (B,)."""
        return right / (self.source.clauses(indices)[..., 0] >= 0).sum(axis=1)

    def accuracy(self, right: np.ndarray, indices: Any) -> float:
        """The share of right clauses of each layout, and the mean of those."""
        layouts = np.asarray(indices) // self.source.per_layout
        truths = (self.source.clauses(indices)[..., 0] >= 0).sum(axis=1)
        shares = [
            right[layouts == layout].sum() / truths[layouts == layout].sum()
            for layout in np.unique(layouts)
        ]
        return float(np.mean(shares))


def item_extractor(classifier: Any, weights: str = "") -> Extractor:
    """The item classifier as the extractor of `frechet_item_classifier`.

    Features are its logits of colors and items at each of the five places.

    Args:
        classifier: `ItemClassifier`, trained.
        weights: str, where it is from.

    Returns:
        `Extractor` of 5 x 14 features.
    """
    logits = len(COLORS) + NUM_ITEMS

    def seen(images: Any) -> Any:
        crops = [
            images[:, top : top + ITEM_SIZE, left : left + ITEM_SIZE]
            for top, left in CORNERS
        ]
        # (B, 5, h, w, 3): an image's places follow one another.
        crops = ops.reshape(
            ops.stack(crops, axis=1), (-1, ITEM_SIZE, ITEM_SIZE, 3)
        )
        heads = classifier(crops, training=False)
        found = ops.concatenate([heads["color"], heads["item"]], axis=-1)
        return ops.reshape(found, (-1, len(CORNERS) * logits))

    return Extractor(
        "item_classifier",
        seen,
        [classifier],
        dimensions=len(CORNERS) * logits,
        size=CANVAS,
        resize="clean",
        weights=weights,
    )
