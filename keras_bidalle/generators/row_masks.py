"""The masks of all layers for rows of both directions, as one adds them."""

import numpy as np
from keras import ops

from keras_bidalle.generators.attention_masks import attention_mask


def masked(dtype):
    """What is added to a score that must not count.

    Args:
        dtype: str, that of the scores.

    Returns:
        float, of which `dtype` holds even twice as much: an infinite one
        times 0 is not a number.
    """
    return -3e4 if dtype == "float16" else -1e9


class RowMasks:
    """Additive masks, one a layer, for [caption][image] rows and the reverse.

    Args:
        kinds: tuple of str, kinds of attention, repeated over the layers.
        depth: int, number of layers.
        text_length: int, T.
        grid: tuple (rows, columns) of image positions, P = rows * columns.
        kernel_size: int, as of `attention_mask`.
        pads_see_themselves: bool, lets a hidden position look at itself.
        shown_in_captioning: tuple of str, kinds of attention that hide
            nothing in [image][caption] rows.
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
        # By kind: float32 (2, S, S), [image][caption] rows first; 1 where
        # one may not look.
        self.tables = {
            kind: np.stack(
                [
                    1.0
                    - attention_mask(
                        kind, text_to_image, text_length, grid, kernel_size
                    ).astype("float32")
                    for text_to_image in (False, True)
                ]
            )
            for kind in dict.fromkeys(kinds)
        }

    def by_layer(self, text_to_image, hidden_keys, dtype):
        """The layers' masks.

        Args:
            text_to_image: bool, the direction of all rows, or a bool tensor
                (B,) with one for each.
            hidden_keys: bool tensor (B, S), positions that no one may look
                at, or `None`.
            dtype: str, that of the masks.

        Returns:
            list of tensors broadcastable to (B, heads, S, S).
        """
        masks = {}
        for kind, table in self.tables.items():
            mask = choose(table, text_to_image, dtype)[:, None] * masked(dtype)
            if hidden_keys is not None:
                hidden = self._padding(hidden_keys, dtype)
                if kind in self.shown_in_captioning:
                    hides = np.array([0.0, 1.0], "float32").reshape(2, 1, 1, 1)
                    hidden = hidden * choose(hides, text_to_image, dtype)
                mask = mask + hidden
            masks[kind] = mask
        return [masks[kind] for kind in self.kinds]

    def _padding(self, hidden_keys, dtype):
        hidden = ops.cast(hidden_keys, dtype)[:, None, None, :] * masked(dtype)
        if not self.pads_see_themselves:
            return hidden
        return hidden * (1.0 - ops.eye(self.length, dtype=dtype))


def choose(table, text_to_image, dtype):
    """The part of a table that each row's direction asks for.

    Args:
        table: NumPy array (2, ...), [image][caption] rows first.
        text_to_image: bool, or bool tensor (B,).
        dtype: str.

    Returns:
        tensor (1, ...), or (B, ...) where rows differ.
    """
    if isinstance(text_to_image, bool):
        return ops.convert_to_tensor(table[int(text_to_image)], dtype)[None]
    if np.array_equal(table[0], table[1]):
        return ops.convert_to_tensor(table[0], dtype)[None]
    direction = ops.cast(text_to_image, "int32")
    return ops.take(ops.convert_to_tensor(table, dtype), direction, axis=0)
