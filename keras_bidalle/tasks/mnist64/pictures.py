"""The MNIST64 task: colored items on a 64x64 canvas, with captions.

Images and captions are drawn on the fly, whole batches at a time. What is
held out of training is decided here, in one place: the test items, and some
combinations of item, color and position.
"""

import dataclasses
import functools
from typing import Any

import numpy as np

from keras_bidalle.messages import shown
from keras_bidalle.tasks.mnist64.digits import ITEM_SIZE, Items
from keras_bidalle.tasks.mnist64.grammar import (
    COLORS,
    LAYOUTS,
    LOCATIONS,
    MAX_CLAUSES,
    CaptionGrammar,
    caption_grammar,
)
from keras_bidalle.validation import check_choice, refused

CANVAS = 64
CELL = 32
# (row, column) of an item's upper left corner, by location. They differ by
# multiples of 16 pixels: whole cells of any code grid down to 4x4.
CORNERS = ((18, 18), (2, 2), (2, 34), (34, 2), (34, 34))
MARGIN = 2
RGB = np.asarray([[1, 1, 1], [1, 0, 0], [0, 1, 0], [0, 0, 1]], "uint8")
NUM_ITEMS = 10

SPLITS = ("train", "unseen_instances", "unseen_combinations")

# Fewer blank cells than digits: the tokenizer needs few codes for black.
EMPTY_SHARE = 0.05


def held_out_combinations() -> np.ndarray:
    """The combinations that training never shows: bool (5, 4, 10).

    Twenty of the 200 (location, color, item) triples. As 4 colors and 5
    locations have no common factor, counting k from 0 to 19 meets each pair
    (k mod 5, k mod 4) of them once; the item is k // 2. So every item is
    held out twice, every color five times, every location four times, and
    every pair of the three at most once: all of them occur in training.
    """
    held_out = np.zeros((len(LOCATIONS), len(COLORS), NUM_ITEMS), bool)
    k = np.arange(20)
    held_out[k % 5, k % 4, k // 2] = True
    return held_out


@dataclasses.dataclass(frozen=True)
class MNIST64Batch:
    """Images with what they show.

    Attributes:
        images: uint8 (B, 64, 64, 3).
        clauses: int32 (B, 4, 3), `(location, color, item)` in the order of
            the caption; unused ones are -1 and last.
        layouts: int32 (B,), 0 center, 1 to 4 that many quadrants.
        phrases: int32 (B, 4), the phrasing of each clause.
        grammar: `CaptionGrammar`.
    """

    images: np.ndarray
    clauses: np.ndarray
    layouts: np.ndarray
    phrases: np.ndarray
    grammar: CaptionGrammar

    def __len__(self) -> int:
        return len(self.images)

    @functools.cached_property
    def captions(self) -> list[str]:
        """B captions, written on first use."""
        return self.grammar.captions(self.clauses, self.phrases)


class MNIST64:
    """Draws images and captions of one split of the task.

    | split | items | combinations |
    |---|---|---|
    | `"train"` | train part | those not held out |
    | `"unseen_instances"` | test part | those not held out |
    | `"unseen_combinations"` | test part | held-out ones only, all objects |

    Layouts, quadrants and their order in the caption, colors, labels and
    phrasings are uniform as far as the split and the grammar allow. The same
    arguments always give the same batch.

    Args:
        items: `Items`, from `load_items`.
        split: one of the three names above.

    Raises:
        ValueError: on another split, or when the part has no such label.

    Reference:
        TE-VQGAN, https://arxiv.org/abs/2112.00384, section 4: canvas, places,
        colors and layouts.
    """

    def __init__(self, items: Items, split: str = "train") -> None:
        check_choice(SPLITS, split=split)
        self.items = items
        self.split = split
        self.grammar = caption_grammar(items.name)
        if split == "train":
            images, labels = items.train_images, items.train_labels
        else:
            images, labels = items.test_images, items.test_labels
        # Sorted by label: an item of a label is a start and an offset.
        self._images = images[np.argsort(labels, kind="stable")]
        self._counts = np.bincount(labels, minlength=NUM_ITEMS)
        if len(self._counts) > NUM_ITEMS or not self._counts.all():
            raise ValueError(
                f"`items` must have labels 0 to 9, each at least once in the "
                f"part of split {shown(split)}. Received counts: "
                f"{self._counts.tolist()}"
            )
        self._starts = np.cumsum(self._counts) - self._counts
        allowed = held_out_combinations()
        if split != "unseen_combinations":
            allowed = ~allowed
        # pairs[location]: the allowed (color, item), as many everywhere.
        self._pairs = np.stack([np.argwhere(table) for table in allowed])

    def sample(
        self, num: int, seed: Any, layout: int | None = None
    ) -> MNIST64Batch:
        """Draws `num` images with their captions.

        Args:
            num: int.
            seed: non-negative int or sequence of them.
            layout: optional int in [0, 5), for images of one layout.

        Raises:
            ValueError: on a layout out of range.
        """
        rng = np.random.default_rng(seed)
        if layout is None:
            layouts = rng.integers(len(LAYOUTS), size=num, dtype="int32")
        elif layout in range(len(LAYOUTS)):
            layouts = np.full(num, layout, "int32")
        else:
            raise refused(
                f"be an integer in [0, {len(LAYOUTS)})", layout=layout
            )
        # A random order of the quadrants, of which the first few are used.
        order = rng.random((num, MAX_CLAUSES), dtype="float32").argsort(axis=1)
        clauses = np.full((num, MAX_CLAUSES, 3), -1, "int32")
        used = np.arange(MAX_CLAUSES) < np.maximum(layouts, 1)[:, None]
        places = np.where(layouts[:, None] == 0, 0, order + 1)[used]
        clauses[used, 0] = places
        pairs = rng.integers(self._pairs.shape[1], size=len(places))
        clauses[used, 1:] = self._pairs[places, pairs]
        crops = self._draw(clauses[used, 2], rng)
        images = np.zeros((num, CANVAS, CANVAS, 3), "uint8")
        rows = np.nonzero(used)[0]
        for location in range(len(CORNERS)):
            here = places == location
            colors = clauses[used, 1][here]
            _paste(images, rows[here], location, crops[here], colors)
        phrases = self.grammar.sample_phrases(clauses, rng)
        return MNIST64Batch(images, clauses, layouts, phrases, self.grammar)

    def _draw(self, labels, rng):
        """A random item of each label: uint8 (n, 28, 28)."""
        draws = rng.random(len(labels))
        offsets = (draws * self._counts[labels]).astype("int64")
        return self._images[self._starts[labels] + offsets]

    def crops(self, num: int, seed: Any) -> np.ndarray:
        """Draws single colored items in 32x32 cells, some cells empty.

        A quadrant of an image looks exactly like this, so a tokenizer whose
        every layer is local can be trained on them, four times faster. What
        is held out has a position, and a crop has none.

        Returns:
            uint8 (num, 32, 32, 3); about one in twenty is black.
        """
        rng = np.random.default_rng(seed)
        crops = self._draw(rng.integers(NUM_ITEMS, size=num), rng)
        empty = rng.random(num) < EMPTY_SHARE
        colors = rng.integers(len(COLORS), size=num)
        images = np.zeros((num, CELL, CELL, 3), "uint8")
        inner = images[:, MARGIN:-MARGIN, MARGIN:-MARGIN]
        masks = RGB[colors] * ~empty[:, None]
        np.multiply(crops[..., None], masks[:, None, None], out=inner)
        return images

    def translated_groups(self, num_groups: int, seed: Any) -> np.ndarray:
        """Draws groups of one item shown at each of the five locations.

        Returns:
            uint8 (num_groups, 5, 64, 64, 3), the second axis in the order of
            `grammar.LOCATIONS`.
        """
        rng = np.random.default_rng(seed)
        crops = self._draw(rng.integers(NUM_ITEMS, size=num_groups), rng)
        colors = rng.integers(len(COLORS), size=num_groups)
        shape = (num_groups, len(CORNERS), CANVAS, CANVAS, 3)
        images = np.zeros(shape, "uint8")
        for location in range(len(CORNERS)):
            rows = np.arange(num_groups)
            _paste(images[:, location], rows, location, crops, colors)
        return images


def item_crops(images: np.ndarray, locations: Any) -> np.ndarray:
    """Cuts the place of an item out of each image: (B, 28, 28, 3)."""
    corners = np.asarray(CORNERS)[np.asarray(locations)]
    inside = np.arange(ITEM_SIZE)
    rows = corners[:, :1] + inside
    columns = corners[:, 1:] + inside
    batch = np.arange(len(images))[:, None, None]
    return images[batch, rows[:, :, None], columns[:, None, :]]


def _paste(images, rows, location, crops, colors):
    """Draws `crops` in `colors` into the images `rows`, in place."""
    top, left = CORNERS[location]
    bottom, right = top + ITEM_SIZE, left + ITEM_SIZE
    colored = crops[..., None] * RGB[colors][:, None, None]
    images[rows, top:bottom, left:right] = colored
