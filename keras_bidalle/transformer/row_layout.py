"""Where everything stands in rows of captions and codes, in both directions."""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_bidalle.named import Named
from keras_bidalle.transformer.places import Places
from keras_bidalle.transformer.rotary import ANGLES, RowRotation
from keras_bidalle.transformer.row_masks import MaskTables
from keras_bidalle.validation import check_positive, refused

_MOST = 1 << 14


@keras.saving.register_keras_serializable(package="keras_bidalle")
class RowLayout(Named):
    """The positions of [caption][image] and [image][caption] rows.

    It has no weights: it says how long rows are, in which order their parts
    stand, who may look at whom, and which position predicts which.

    Args:
        text_length: int, T, positions of a caption.
        grid: tuple (rows, columns) of image positions, P = rows * columns.
        depth: int, number of layers.
        head_dim: int, channels of one head.
        attention: tuple of str, kinds of attention, repeated over the
            layers (see `attention_mask`).
        kernel_size: int, side of the window of convolutional attention.
        rotary: bool, turns queries and keys by their place in the caption
            or the grid (see `rotary`), which makes "the word before" and
            "the code above" the same everywhere and learning several times
            faster; or "image", by their row and column alone, captions being
            left as they are.
        mask_padding: bool, hides pad tokens from attention. Their ids are
            one a position, so that a model may also do with seeing them.
        pads_see_themselves: bool, whether a hidden pad token sees itself.
        sparse_captioning_sees_pads: bool, leaves pads of [image][caption]
            rows in sight in all layers but those of full attention.

    Raises:
        ValueError: if a kind of attention or of `rotary` is not known.
    """

    def __init__(
        self,
        text_length: int,
        grid: tuple,
        depth: int,
        head_dim: int,
        attention: tuple = ("full",),
        kernel_size: int = 5,
        rotary: bool | str = False,
        mask_padding: bool = True,
        pads_see_themselves: bool = True,
        sparse_captioning_sees_pads: bool = False,
    ) -> None:
        if rotary not in (False, *ANGLES):
            raise refused('be True, False or "image"', rotary=rotary)
        check_positive(text_length=text_length, kernel_size=kernel_size)
        length = text_length + int(np.prod(grid, dtype=object))
        # Before masks and rotations of all pairs and channels are made.
        if length > _MOST or head_dim > _MOST or not attention:
            raise refused(
                f"have a kind of attention, and at most {_MOST:,} places and "
                "channels of a head",
                of="layout",
                length=length,
                head_dim=head_dim,
                attention=attention,
            )
        self.text_length = text_length
        self.grid = tuple(grid)
        self.depth = depth
        self.head_dim = head_dim
        self.attention = tuple(attention)
        self.kernel_size = kernel_size
        self.rotary = rotary
        self.mask_padding = mask_padding
        self.pads_see_themselves = pads_see_themselves
        self.sparse_captioning_sees_pads = sparse_captioning_sees_pads
        self.num_positions = int(np.prod(self.grid))
        self.length = text_length + self.num_positions
        kinds = self.attention
        self.kinds = [kinds[i % len(kinds)] for i in range(depth)]
        # Kinds of attention that hide nothing in [image][caption] rows.
        self.shown_in_captioning = [
            kind
            for kind in kinds
            if sparse_captioning_sees_pads and kind != "full"
        ]
        self.masks = MaskTables(kinds, text_length, self.grid, kernel_size)
        self.rotation = (
            RowRotation(text_length, self.grid, head_dim, rotary)
            if rotary
            else None
        )

    def in_order(
        self, text_to_image: Any, text_part: Any, image_part: Any
    ) -> Any:
        """Joins parts (B, T, ...) and (B, P, ...) to (B, T + P, ...).

        `text_to_image` is the direction of all rows, or a bool tensor (B,)
        with one for each.
        """
        if isinstance(text_to_image, bool):
            parts = (text_part, image_part)
            return ops.concatenate(parts if text_to_image else parts[::-1], 1)
        rows = ops.reshape(text_to_image, (-1,) + (1,) * (text_part.ndim - 1))
        return ops.where(
            rows,
            ops.concatenate([text_part, image_part], axis=1),
            ops.concatenate([image_part, text_part], axis=1),
        )

    def before(self, text_to_image: Any, x: Any, first: int = 1) -> Any:
        """What stands one position before each token, which predicts it.

        What begins a row has nothing before it; its place is filled and
        never counts.

        Args:
            text_to_image: bool tensor (B,).
            x: tensor (B, T + P, d), rows in their own order.
            first: int, the first token of a caption that is wanted.

        Returns:
            Tuple of tensors (B, T - first, d), before the caption's tokens,
            and (B, P, d), before the image positions.
        """
        filled = ops.concatenate([x[:, :1], x[:, :-1]], axis=1)
        length, num = self.text_length, self.num_positions
        rows = text_to_image[:, None, None]
        before_text = ops.where(
            rows, filled[:, first:length], filled[:, num + first :]
        )
        before_image = ops.where(rows, filled[:, length:], filled[:, :num])
        return before_text, before_image

    def windows(self, text_to_image: bool) -> tuple:
        """How much of an image each layer remembers while drawing it.

        `(T, w)`, as `TransformerBlock.prefill` takes it, or `None` for all.
        """
        windows = [text_to_image and self.masks.windows[k] for k in self.kinds]
        return tuple((self.text_length, w) if w else None for w in windows)

    def places(
        self,
        text_to_image: Any,
        dtype: str,
        padding: Any = None,
        room: int | None = None,
        order: Any = None,
    ) -> Places:
        """What the layers have to know of rows.

        Args:
            text_to_image: bool, the direction of all rows, or a bool tensor
                (B,) with one for each.
            dtype: str, in which the layers compute.
            padding: bool tensor (B, T), which caption tokens are pads;
                `None` where no one could look at them.
            room: int, places of caches that several positions are written
                to at once; `None` where one after the other is.
            order: int tensor (B, P), the image position that stands at each
                place of the image's part of a row, where that is not raster
                order. All kinds of attention must be "full".
        """
        hidden_keys = None
        if self.mask_padding and padding is not None:
            shape = (ops.shape(padding)[0], self.num_positions)
            seen = ops.zeros(shape, "bool")
            hidden_keys = self.in_order(text_to_image, padding, seen)
        return Places(self, text_to_image, dtype, hidden_keys, room, order)
