"""Rotary positions for rows that hold a line of words and a grid of codes.

A caption token stands at a place on a line, an image position at a row and a
column. Each head turns three groups of its channel pairs, one by each of the
three coordinates, and leaves the rest alone: "the word before", "the code
above" are then the same anywhere, and what is seen (not where) stays
comparable across the two modalities through the channels left alone.
"""

import numpy as np
from keras import ops

from keras_bidalle.transformer.row_masks import choose


def rotary_angles(text_length, grid, head_dim, base=100.0):
    """Angles of all caption places and all image places.

    Args:
        text_length: int, T.
        grid: tuple (rows, columns), P = rows * columns.
        head_dim: int, at least 8; 6 channels of each 8 are turned.
        base: float, the slowest pair turns about this many times slower
            than the fastest.

    Returns:
        Tuple of float32 NumPy arrays (T, a) and (P, a), a = 3 * (head_dim //
        8): caption places turn the first third, image rows the second and
        columns the last.

    Reference:
        RoFormer, arXiv 2104.09864, section 3.2; the axial form for grids:
        EVA-02, arXiv 2303.11331.
    """
    count = head_dim // 8
    if count < 1:
        raise ValueError(
            "Rotary positions need `head_dim` of at least 8. "
            f"Received: head_dim={head_dim}"
        )
    frequencies = base ** (-np.arange(count) / count)

    def turned(*coordinates):
        return np.concatenate(
            [place[:, None] * frequencies for place in coordinates], axis=-1
        ).astype("float32")

    line = np.arange(text_length)
    rows, columns = grid
    places = np.arange(rows * columns)
    text = turned(line, 0 * line, 0 * line)
    image = turned(0 * places, places // columns, places % columns)
    return text, image


class RowRotation:
    """Cosines and sines for [caption][image] rows and the reverse.

    Args:
        text_length, grid, head_dim: as in `rotary_angles`.
    """

    def __init__(self, text_length, grid, head_dim):
        text, image = rotary_angles(text_length, grid, head_dim)
        # (2, S, a), [image][caption] rows first.
        self.angles = np.stack(
            [np.concatenate([image, text]), np.concatenate([text, image])]
        )

    def tables(self, text_to_image, dtype):
        """What `rotate` takes.

        Args:
            text_to_image: bool, the direction of all rows, or a bool tensor
                (B,) with one for each.
            dtype: str.

        Returns:
            Pair of tensors (1 or B, 1, S, a).
        """
        return tuple(
            choose(table, text_to_image, dtype)[:, None]
            for table in (np.cos(self.angles), np.sin(self.angles))
        )


def rotate(x, rotation):
    """Turns channel pairs of queries or keys.

    Args:
        x: tensor (B, heads, S, head_dim).
        rotation: pair of tensors, cosines and sines, broadcastable to
            (B, heads, S, a); pairs are channels i and a + i, i < a.

    Returns:
        tensor of the shape of `x`.
    """
    cosine, sine = rotation
    a = cosine.shape[-1]
    first, second, rest = x[..., :a], x[..., a : 2 * a], x[..., 2 * a :]
    return ops.concatenate(
        [
            first * cosine - second * sine,
            second * cosine + first * sine,
            rest,
        ],
        axis=-1,
    )
