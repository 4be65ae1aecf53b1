"""Masks of rows of both directions, as one adds them to scores."""

import numpy as np
from keras import ops

from keras_bidalle.transformer.attention_masks import attention_mask
from keras_bidalle.transformer.key_blocks import key_blocks


def masked_score(dtype):
    """What is added to a score that must not count, a float.

    Two of them add up to a number of the dtype.
    """
    return -3e4 if dtype == "float16" else -1e9


class MaskTables:
    """What is added to scores of [caption][image] rows and of the reverse.

    `windows` has, by kind, w if no position of an image that is drawn sees
    more than the last w of them, itself included, and w is at most half of
    the image; else `None`.
    """

    def __init__(self, kinds, text_length, grid, kernel_size):
        self.text_length = text_length
        # By kind: bool (2, S, S), [image][caption] rows first.
        self._hidden = {
            kind: np.stack(
                [
                    ~attention_mask(
                        kind, text_to_image, text_length, grid, kernel_size
                    )
                    for text_to_image in (False, True)
                ]
            )
            for kind in dict.fromkeys(kinds)
        }
        self.windows = {
            kind: _window(~hidden[1, text_length:, text_length:])
            for kind, hidden in self._hidden.items()
        }
        self._grid = tuple(grid)
        # Kept, for torch asks at every step.
        self._tables, self._window_tables, self._blocks = {}, {}, {}

    def by_kind(self, dtype):
        """Dict from kind to float32 (2, S, S), for scores of a dtype."""
        if dtype not in self._tables:
            score = np.float32(masked_score(dtype))
            self._tables[dtype] = {
                kind: np.where(hidden, score, np.float32(0))
                for kind, hidden in self._hidden.items()
            }
        return self._tables[dtype]

    def through_window(self, kind, dtype):
        """A drawn image's columns of positions (S, S) as slots (S, T + w)."""
        if (kind, dtype) not in self._window_tables:
            table = self.by_kind(dtype)[kind][1]
            window, first = self.windows[kind], self.text_length
            position = np.arange(len(table))[:, None]
            # What lies in a slot then: the last position that was put there.
            held = position - (position - first - np.arange(window)) % window
            slots = np.take_along_axis(table, np.maximum(held, 0), axis=1)
            slots = np.where(held < first, table.min(), slots)
            table = np.concatenate([table[:, :first], slots], axis=1)
            self._window_tables[kind, dtype] = table
        return self._window_tables[kind, dtype]

    def image_blocks(self, kind, dtype):
        """`KeyBlocks` of an image that comes first, or `None`."""
        if (kind, dtype) not in self._blocks:
            count = int(np.prod(self._grid))
            seen = ~self._hidden[kind][0, :count, :count]
            self._blocks[kind, dtype] = key_blocks(
                seen, self._grid, masked_score(dtype)
            )
        return self._blocks[kind, dtype]


def _window(seen):
    """The last positions that any one sees (P, P), or `None` if many."""
    count = len(seen)
    window = int((np.arange(count) - seen.argmax(axis=1)).max()) + 1
    return window if 2 * window <= count else None


def choose(table, text_to_image, dtype):
    """The part of a table (2, ...) that each row's direction asks for.

    [image][caption] rows come first in it. Gives a tensor (1, ...), or
    (B, ...) where rows differ.
    """
    if isinstance(text_to_image, bool):
        return ops.convert_to_tensor(table[int(text_to_image)], dtype)[None]
    if np.array_equal(table[0], table[1]):
        return ops.convert_to_tensor(table[0], dtype)[None]
    direction = ops.cast(text_to_image, "int32")
    return ops.take(ops.convert_to_tensor(table, dtype), direction, axis=0)
