"""Which position may look at which: full and sparse attention as masks.

The published Bi-directional DALL-E cycles four kinds of attention over its
layers. All are causal over the whole row; the sparse ones let an image
position see, of the image, only part: its row, its column, or a window
around it. A caption's position sees all that came before it, and an image
position sees the caption that came before it.

The windows of DALL-E's own transformer run in raster order instead, across
the ends of the image's rows: "raster_row" reaches back to the position
above, "raster_conv" to a window whose sides wrap to the next row.
"""

from typing import Any

import numpy as np

from keras_bidalle.messages import shown


def _same_row(row, column, _):
    return row[:, None] == row[None, :]


def _same_column(row, column, _):
    return column[:, None] == column[None, :]


def _window(row, column, kernel_size):
    reach = kernel_size // 2
    near_row = np.abs(row[:, None] - row[None, :]) <= reach
    return near_row & (np.abs(column[:, None] - column[None, :]) <= reach)


def _raster_row(row, column, _):
    columns = column.max() + 1
    back = _steps_back(row, column)
    return (back >= 0) & (back <= columns)


def _raster_window(row, column, kernel_size):
    columns, reach = column.max() + 1, kernel_size // 2
    sides = np.arange(-reach, reach + 1)
    reached = (np.arange(reach + 1)[:, None] * columns + sides).ravel()
    return np.isin(_steps_back(row, column), reached)


def _steps_back(row, column):
    """How many positions before i in raster order j is."""
    position = row * (column.max() + 1) + column
    return position[:, None] - position[None, :]


_IMAGE_PATTERNS = {
    "full": lambda row, column, _: np.ones((len(row), len(row)), bool),
    "axial_row": _same_row,
    "axial_column": _same_column,
    "conv_like": _window,
    "raster_row": _raster_row,
    "raster_conv": _raster_window,
}

ATTENTION_KINDS = tuple(_IMAGE_PATTERNS)


def attention_mask(
    kind: str,
    text_to_image: bool,
    text_length: int,
    grid: Any,
    kernel_size: int = 5,
) -> Any:
    """The mask of one kind of attention for one direction.

    Args:
        kind: str, one of `ATTENTION_KINDS`.
        text_to_image: bool; rows are [caption][image] when `True`, else
            [image][caption].
        text_length: int, positions of the caption, T.
        grid: tuple (rows, columns) of image positions, P = rows * columns.
        kernel_size: int, side of the window of "conv_like" and
            "raster_conv".

    Returns:
        bool NumPy array (T + P, T + P); `[i, j]` says whether position i
        may look at position j.

    Raises:
        ValueError: if `kind` is not known.

    Reference:
        Bi-directional DALL-E (arXiv 2112.00384), the released program;
        DALL-E (arXiv 2102.12092), appendix B.1 and Figure 11 for "raster_row"
        (mask a), "axial_column" (b, c) and "raster_conv" (d).
    """
    if kind not in _IMAGE_PATTERNS:
        raise ValueError(
            f"Attention kinds are {', '.join(ATTENTION_KINDS)}. "
            f"Received: {shown(kind)}"
        )
    rows, columns = grid
    num_image = rows * columns
    length = text_length + num_image
    position = np.arange(num_image)
    pattern = _IMAGE_PATTERNS[kind](
        position // columns, position % columns, kernel_size
    )
    mask = np.tril(np.ones((length, length), bool))
    image = slice(text_length, None) if text_to_image else slice(num_image)
    mask[image, image] &= pattern
    return mask
