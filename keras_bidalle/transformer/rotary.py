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
    """Angles of caption places (T, a) and image places (P, a), float32.

    a = 3 * (head_dim // 8): of each 8 channels 6 are turned, caption places
    by the first third, image rows by the second and columns by the last. The
    slowest pair turns about `base` times slower than the fastest.

    RoFormer, arXiv 2104.09864, section 3.2; its axial form for grids: EVA-02,
    arXiv 2303.11331.
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
    """Cosines and sines for [caption][image] rows and the reverse."""

    def __init__(self, text_length, grid, head_dim):
        text, image = rotary_angles(text_length, grid, head_dim)
        # (2, S, a), [image][caption] rows first.
        self.angles = np.stack(
            [np.concatenate([image, text]), np.concatenate([text, image])]
        )

    def tables(self, text_to_image, dtype):
        """What `rotate` takes: a pair of tensors (1 or B, 1, S, a).

        `text_to_image` is the direction of all rows, or a bool tensor (B,).
        """
        return tuple(
            choose(table, text_to_image, dtype)[:, None]
            for table in (np.cos(self.angles), np.sin(self.angles))
        )


def rotate(x, rotation):
    """Turns channel pairs i and a + i, i < a, of (B, heads, S, head_dim).

    The rotation is a pair of tensors, cosines and sines, broadcastable to
    (B, heads, S, a).
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
