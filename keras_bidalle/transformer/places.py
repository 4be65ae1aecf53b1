"""What layers have to know of some rows: masks, rotations, windows."""

from typing import Any

import numpy as np
from keras import ops

from keras_bidalle.backend.current import is_eager
from keras_bidalle.backend.keras_internals import pad
from keras_bidalle.transformer.row_masks import choose, masked_score
from keras_bidalle.transformer.spans import span


class Places:
    """The masks, rotations and windows of some rows: see `RowLayout.places`.

    `windows` has one for each layer, as `TransformerBlock.prefill` takes it;
    rows of several directions have none. No one may look at the positions of
    `hidden_keys`, bool (B, T + P), or `None`. With `room`, int, there are no
    windows, and caches have so many places, T + P or more. With `order`, int
    (B, P), image positions stand in another order, and all attention is full.
    """

    def __init__(
        self,
        layout: Any,
        text_to_image: Any,
        dtype: str,
        hidden_keys: Any,
        room: int | None = None,
        order: Any = None,
    ):
        self.room = room
        self._layout = layout
        self._direction = text_to_image
        self._dtype = dtype
        self._hidden_keys = hidden_keys
        self._rotation = layout.rotation and layout.rotation.tables(
            text_to_image, dtype, order
        )
        # What each step would make again where nothing is compiled.
        self._kept: dict = {}
        self.windows: tuple = (None,) * layout.depth
        if isinstance(text_to_image, bool) and room is None:
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

    def prompt_masks(self, count: int) -> list:
        """As `masks` of the first n positions, of one direction.

        Where they are a whole image, of which a layer sees little at each
        position, that layer has `KeyBlocks`.
        """
        masks = self.masks(count)
        if self._direction or count != self._layout.num_positions:
            return masks
        # No pad is among the positions of an image.
        blocks = [
            self._layout.masks.image_blocks(kind, self._dtype)
            for kind in self._layout.kinds
        ]
        return [
            mask if found is None else found
            for mask, found in zip(masks, blocks, strict=True)
        ]

    def masks_at(self, index: Any, count: int = 1) -> list:
        """Of positions from `index` on of the rows' second part: one a layer.

        list of tensors (1 or B, count, S), with `room` instead of S where it
        is given; of a layer with a window w (1 or B, 1, T + w), with position
        p of the image at T + p mod w.
        """
        hidden = self._hidden_scores()
        if hidden is not None and self._sees_itself():
            own = index + ops.arange(count, dtype="int32")
            places = ops.arange(hidden.shape[-1], dtype="int32")
            others = ops.cast(places != own[:, None], self._dtype)
            hidden = hidden * others[None]
        masks = {}
        for kind in dict.fromkeys(self._layout.kinds):
            table = self._table(kind)
            row = span(table, index, count)
            row = ops.convert_to_tensor(row, self._dtype)[None]
            seen = hidden
            if hidden is not None and table.shape[1] != hidden.shape[-1]:
                # No position of an image is hidden as such.
                seen = hidden[..., : table.shape[1]]
            masks[kind] = self._hide(row, seen, kind)
        return [masks[kind] for kind in self._layout.kinds]

    def _once(self, name, make):
        if not is_eager():
            # A tensor of one loop is none of another.
            return make()
        if name not in self._kept:
            self._kept[name] = make()
        return self._kept[name]

    def _hidden_scores(self):
        """(B, 1, S or `room`), or `None`."""
        if self._hidden_keys is None:
            return None

        def make():
            scores = ops.cast(self._hidden_keys, self._dtype)[:, None]
            scores = scores * masked_score(self._dtype)
            more = max((self.room or 0) - scores.shape[-1], 0)
            return pad(scores, [[0, 0], [0, 0], [0, more]])

        return self._once("hidden", make)

    def _sees_itself(self):
        # Pads are in the first part where images are drawn.
        return self._layout.pads_see_themselves and not self._direction

    def _table(self, kind):
        """Rows of scores by position, of one kind of attention."""

        def make():
            tables = self._layout.masks
            table = tables.by_kind(self._dtype)[kind][int(self._direction)]
            if self.room is None and self._direction and tables.windows[kind]:
                table = tables.through_window(kind, self._dtype)
            elif self.room is not None:
                more = [[0, 0], [0, self.room - table.shape[1]]]
                score = masked_score(self._dtype)
                table = np.pad(table, more, constant_values=score)
            return ops.convert_to_tensor(table, self._dtype)

        return self._once(kind, make)

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

    def rotation_at(self, index: Any, count: int = 1) -> Any:
        """What `rotate` takes for positions from `index` on."""
        return self._rotation and tuple(
            span(part, index, count, axis=2) for part in self._rotation
        )
