"""The masks of all layers for rows of both directions, as one adds them."""

import numpy as np
from keras import ops

from keras_bidalle.transformer.attention_masks import attention_mask


def masked_score(dtype):
    """What is added to a score that must not count, a float.

    Two of them add up to a number of the dtype.
    """
    return -3e4 if dtype == "float16" else -1e9


class RowMasks:
    """Additive masks, one a layer, for [caption][image] rows and the reverse.

    The kinds of attention are repeated over `depth` layers. A position that is
    hidden may look at itself if `pads_see_themselves`; kinds that are
    `shown_in_captioning` hide none in [image][caption] rows.
    """

    def __init__(
        self,
        kinds,
        depth,
        text_length,
        grid,
        kernel_size,
        pads_see_themselves=True,
        shown_in_captioning=(),
    ):
        self.kinds = [kinds[i % len(kinds)] for i in range(depth)]
        self.length = text_length + int(np.prod(grid))
        self.pads_see_themselves = pads_see_themselves
        self.shown_in_captioning = shown_in_captioning
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
        # By kind: how many of an image's last positions are ever seen, if
        # that is at most half of them.
        self._windows = {
            kind: _window(~hidden[1, text_length:, text_length:])
            for kind, hidden in self._hidden.items()
        }
        self._tables, self._window_tables = {}, {}

    def windows(self, text_to_image):
        """How much of an image each layer has to remember while drawing.

        w, if no position of the image sees more than the last w of them,
        itself included, and w is at most half of the image; else `None`. In
        [image][caption] rows captions see all, and none has a window.
        """
        if not text_to_image:
            return [None] * len(self.kinds)
        return [self._windows[kind] for kind in self.kinds]

    def tables(self, dtype):
        """What is added to scores: dict from kind to float32 (2, S, S)."""
        if dtype not in self._tables:
            score = np.float32(masked_score(dtype))
            self._tables[dtype] = {
                kind: np.where(hidden, score, np.float32(0))
                for kind, hidden in self._hidden.items()
            }
        return self._tables[dtype]

    def by_layer(self, text_to_image, hidden_keys, dtype, count=None):
        """The layers' masks: tensors broadcastable to (B, heads, n, n).

        Args:
            text_to_image: bool, the direction of all rows, or a bool tensor
                (B,) with one for each.
            hidden_keys: bool tensor (B, S), positions that no one may look
                at, or `None`.
            dtype: str, that of the masks.
            count: int, n, of the first n positions only, or `None` for all.
        """
        n = self.length if count is None else count
        hidden = None
        if hidden_keys is not None:
            hidden = ops.cast(hidden_keys, dtype)[:, None, None, :n]
            hidden = hidden * masked_score(dtype)
            if self.pads_see_themselves:
                hidden = hidden * (1.0 - ops.eye(n, dtype=dtype))
        masks = {}
        for kind, table in self.tables(dtype).items():
            mask = choose(table[:, :n, :n], text_to_image, dtype)[:, None]
            masks[kind] = self._hide(mask, hidden, kind, text_to_image, dtype)
        return [masks[kind] for kind in self.kinds]

    def rows_by_layer(self, index, text_to_image, hidden_keys, dtype):
        """The layers' masks of one position, of the rows' second part.

        `text_to_image` is one bool, the rest as in `by_layer`. Gives tensors
        (1 or B, 1, S); of a layer with a window w (1 or B, 1, T + w), with
        position p of the image at T + p mod w.
        """
        hidden = None
        if hidden_keys is not None:
            hidden = ops.cast(hidden_keys, dtype)[:, None]
            hidden = hidden * masked_score(dtype)
            if self.pads_see_themselves:
                others = ops.arange(self.length, dtype="int32") != index
                hidden = hidden * ops.cast(others, dtype)
        masks = {}
        for kind, table in self.tables(dtype).items():
            table = table[int(text_to_image)]
            seen = hidden
            if text_to_image and self._windows[kind]:
                table = self._through_window(kind, dtype)
                # No position of an image is hidden as such.
                if hidden is not None:
                    seen = hidden[..., : table.shape[1]]
            if isinstance(index, int):
                row = ops.convert_to_tensor(table[index], dtype)
            else:
                table = ops.convert_to_tensor(table, dtype)
                row = ops.take(table, index, axis=0)
            mask = row[None, None]
            masks[kind] = self._hide(mask, seen, kind, text_to_image, dtype)
        return [masks[kind] for kind in self.kinds]

    def _through_window(self, kind, dtype):
        """Columns of positions (S, S) as columns of slots (S, T + w)."""
        # Kept, for torch asks at every step.
        if (kind, dtype) not in self._window_tables:
            table = self.tables(dtype)[kind][1]
            window, first = self._windows[kind], self.text_length
            position = np.arange(self.length)[:, None]
            # What lies in a slot then: the last position that was put there.
            held = position - (position - first - np.arange(window)) % window
            slots = np.take_along_axis(table, np.maximum(held, 0), axis=1)
            slots = np.where(held < first, table.min(), slots)
            table = np.concatenate([table[:, :first], slots], axis=1)
            self._window_tables[kind, dtype] = table
        return self._window_tables[kind, dtype]

    def _hide(self, mask, hidden, kind, text_to_image, dtype):
        if hidden is None:
            return mask
        if kind in self.shown_in_captioning:
            hides = np.array([0.0, 1.0], "float32")
            hides = hides.reshape(2, *(1,) * (len(mask.shape) - 1))
            hidden = hidden * choose(hides, text_to_image, dtype)
        return mask + hidden


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
