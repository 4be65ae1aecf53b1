"""What layers have to know of some rows: masks, rotations, windows."""

from typing import Any

import numpy as np
from keras import ops

from keras_bidalle.transformer.row_masks import choose, masked_score


class Places:
    """The masks, rotations and windows of some rows: see `RowLayout.places`.

    `windows` has one for each layer, as `TransformerBlock.prefill` takes it;
    rows of several directions have none. No one may look at the positions of
    `hidden_keys`, bool (B, T + P), or `None`.
    """

    def __init__(
        self, layout: Any, text_to_image: Any, dtype: str, hidden_keys: Any
    ):
        self._layout = layout
        self._direction = text_to_image
        self._dtype = dtype
        self._hidden_keys = hidden_keys
        self._rotation = layout.rotation and layout.rotation.tables(
            text_to_image, dtype
        )
        self.windows: tuple = (None,) * layout.depth
        if isinstance(text_to_image, bool):
            self.windows = layout.windows(text_to_image)

    def masks(self, count: int | None = None) -> list:
        """Of the first n positions, or all: one a layer.

        list of additive tensors broadcastable to (B, heads, n, n).
        """
        n = self._layout.length if count is None else count
        hidden = None
        if self._hidden_keys is not None:
            hidden = ops.cast(self._hidden_keys, self._dtype)
            hidden = hidden[:, None, None, :n] * masked_score(self._dtype)
            if self._layout.pads_see_themselves:
                hidden = hidden * (1.0 - ops.eye(n, dtype=self._dtype))
        masks = {}
        for kind, table in self._layout.masks.by_kind(self._dtype).items():
            table = table[:, :n, :n]
            mask = choose(table, self._direction, self._dtype)[:, None]
            masks[kind] = self._hide(mask, hidden, kind)
        return [masks[kind] for kind in self._layout.kinds]

    def masks_at(self, index: Any) -> list:
        """Of one position of the rows' second part: one a layer.

        list of tensors (1 or B, 1, S); of a layer with a window w
        (1 or B, 1, T + w), with position p of the image at T + p mod w.
        """
        tables, dtype = self._layout.masks, self._dtype
        hidden = None
        if self._hidden_keys is not None:
            hidden = ops.cast(self._hidden_keys, dtype)[:, None]
            hidden = hidden * masked_score(dtype)
            if self._layout.pads_see_themselves:
                places = ops.arange(self._layout.length, dtype="int32")
                hidden = hidden * ops.cast(places != index, dtype)
        masks = {}
        for kind, table in tables.by_kind(dtype).items():
            table = table[int(self._direction)]
            seen = hidden
            if self._direction and tables.windows[kind]:
                table = tables.through_window(kind, dtype)
                # No position of an image is hidden as such.
                if hidden is not None:
                    seen = hidden[..., : table.shape[1]]
            if isinstance(index, int):
                row = ops.convert_to_tensor(table[index], dtype)
            else:
                table = ops.convert_to_tensor(table, dtype)
                row = ops.take(table, index, axis=0)
            masks[kind] = self._hide(row[None, None], seen, kind)
        return [masks[kind] for kind in self._layout.kinds]

    def _hide(self, mask, hidden, kind):
        if hidden is None:
            return mask
        if kind in self._layout.shown_in_captioning:
            hides = np.array([0.0, 1.0], "float32")
            hides = hides.reshape(2, *(1,) * (len(mask.shape) - 1))
            hidden = hidden * choose(hides, self._direction, self._dtype)
        return mask + hidden

    def rotation(self, count: int | None = None) -> Any:
        """What `rotate` takes for the first `count` positions, or all."""
        return self._rotation and tuple(
            part[:, :, :count] for part in self._rotation
        )

    def rotation_at(self, index: Any) -> Any:
        """What `rotate` takes for one position."""
        return self._rotation and tuple(
            ops.take(part, index, axis=2)[:, :, None] for part in self._rotation
        )
