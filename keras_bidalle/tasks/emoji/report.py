"""All figures of the emoji task, for a tokenizer and for both directions."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from keras import ops

from keras_bidalle.evaluation.likeliest import captions_scored
from keras_bidalle.metrics import codebook_statistics, psnr
from keras_bidalle.tasks.emoji.accuracy import attribute_accuracy, ranking
from keras_bidalle.tasks.emoji.attributes import KnownEmoji, attributes_of
from keras_bidalle.tasks.emoji.captions import styled
from keras_bidalle.tasks.emoji.classifier import HEADS, EmojiClassifier
from keras_bidalle.tasks.emoji.nearest import NearestPictures
from keras_bidalle.tasks.emoji.pictures import EmojiPictures
from keras_bidalle.validation import as_uint8_images


def tokenizer_report(tokenizer: Any, pictures: EmojiPictures) -> dict:
    """How well a tokenizer keeps pictures it was not trained on.

    Returns:
        dict: `psnr` in dB, the mean over pictures; `spread`, its standard
        error; and of a tokenizer with one grid of codes `codebook_usage` and
        `perplexity`.
    """
    drawn = as_uint8_images(tokenizer.reconstruct(pictures.images))
    values = ops.convert_to_numpy(psnr(pictures.images, drawn))
    report = {
        "psnr": float(values.mean()),
        "spread": float(values.std() / np.sqrt(len(values))),
    }
    if len(tokenizer.code_shape) > 1:
        codes = tokenizer.encode(pictures.images)
        report |= codebook_statistics(codes, tokenizer.num_codes)
    return report


class EmojiJudge:
    """Measures models of emoji.

    Args:
        splits: dict of `EmojiPictures`, as `load_emoji` gives it.
        classifier: `EmojiClassifier`, trained.
        pictures: int, how many of a split are read and drawn, evenly spaced;
            0 for all.
        ranked: int, of how many the captions are ranked, which costs a score
            for each of them and each name.
        batch_size: int, rows that a model works on at once.
    """

    def __init__(
        self,
        splits: dict[str, EmojiPictures],
        classifier: EmojiClassifier,
        pictures: int = 0,
        ranked: int = 32,
        batch_size: int = 128,
    ) -> None:
        self.splits = splits
        self.classifier = classifier
        self.pictures = pictures
        self.ranked = ranked
        self.batch_size = batch_size
        everything = [row for own in splits.values() for row in own.rows]
        self.known = KnownEmoji(everything)
        self.names = list(dict.fromkeys(row.name for row in everything))
        train = splits["train"]
        self._train = [attributes_of(row) for row in train.rows]
        self._nearest = NearestPictures(train.images)

    def report(
        self,
        model: Any,
        split: str,
        sampling: dict[str, Any],
        seed: int = 0,
        progress: Callable[[str, int, int], Any] | None = None,
    ) -> dict[str, Any]:
        """Measures both directions on one split.

        Args:
            model: `keras_bidalle.TextImageModel`.
            split: str, one of `SPLITS`.
            sampling: dict of arguments of `text_to_image`.
            seed: int, of what is drawn.
            progress: function of what is done, how many of it are, and of
                how many; or `None`.

        Returns:
            dict: `image_to_text`, how often each attribute is read right,
            and `nearest_picture`, how often the nearest training picture has
            it; `retrieval`; `text_to_image`, how often the classifier finds
            each attribute in what is drawn, and `real_pictures`, in what was
            to be drawn; `distance_to_training`, the means for both.
        """
        chosen = some_of(self.splits[split], self.pictures)
        truths = [attributes_of(row) for row in chosen.rows]

        def of(what):
            return progress and (lambda n: progress(what, n, len(chosen)))

        written = model.image_to_text(
            chosen.images,
            batch_size=self.batch_size,
            progress=of("image_to_text"),
        )
        drawn = model.text_to_image(
            [styled(row.name, row.vendor) for row in chosen.rows],
            seed=np.arange(len(chosen)) + 1000 * seed,
            batch_size=self.batch_size,
            progress=of("text_to_image"),
            **sampling,
        )
        nearest, distances = self._nearest(chosen.images)
        _, drawn_distances = self._nearest(drawn)

        def accuracy(found, names=None):
            more = {} if names is None else {"names": names}
            return attribute_accuracy(found, truths, self.known, **more)

        return {
            "image_to_text": accuracy(
                [self.known.understood(text) for text in written]
            ),
            "nearest_picture": accuracy([self._train[i] for i in nearest]),
            "text_to_image": accuracy(
                self.classifier.classify(drawn), names=HEADS
            ),
            "real_pictures": accuracy(
                self.classifier.classify(chosen.images), names=HEADS
            ),
            "distance_to_training": {
                "drawn": float(drawn_distances.mean()),
                "real": float(distances.mean()),
            },
            **self._retrieval(model, chosen, progress),
        }

    def _retrieval(self, model, pictures, progress):
        if not self.ranked:
            return {}
        chosen = some_of(pictures, self.ranked)
        scores = np.stack(
            [
                self._scored(model, image, number, len(chosen), progress)
                for number, image in enumerate(chosen.images)
            ]
        )
        # The same name may be asked for twice, of two vendors.
        own = np.array([self.names.index(row.name) for row in chosen.rows])
        captions = [
            1 + int((row > row[column]).sum())
            for row, column in zip(scores, own, strict=True)
        ]
        among = scores[:, own]
        images = [
            1 + int((column > column[place]).sum())
            for place, column in enumerate(among.T)
        ]
        return {
            "retrieval": {
                "caption": ranking(captions) | {"among": len(self.names)},
                "image": ranking(images) | {"among": len(chosen)},
            }
        }

    def _scored(self, model, image, number, count, progress):
        found = captions_scored(model, image, self.names, self.batch_size)
        if progress is not None:
            progress("retrieval", number + 1, count)
        return found


def some_of(pictures: EmojiPictures, count: int) -> EmojiPictures:
    """As many of the pictures, evenly spaced; all for 0."""
    if not 0 < count < len(pictures):
        return pictures
    places: Sequence[int] = [i * len(pictures) // count for i in range(count)]
    rows = [pictures.rows[i] for i in places]
    return EmojiPictures(rows, pictures.images[places])
