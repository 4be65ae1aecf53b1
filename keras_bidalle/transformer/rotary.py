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


def image_angles(text_length, grid, head_dim, base=10000.0):
    """As `rotary_angles`, but captions are not turned at all: a = head_dim / 2.

    Half of each head's channels are turned by the row, half by the column.
    Where LlamaGen's program multiplies captions by a table of zeros, which
    blinds attention to what they say, theirs are angles of zero here.

    LlamaGen, arXiv 2406.06525, section 3.2.
    """
    if head_dim % 4:
        raise ValueError(
            'Rotary positions of the image, `rotary="image"`, need '
            f"`head_dim` to be a multiple of 4. Received: head_dim={head_dim}"
        )
    count = head_dim // 4
    frequencies = base ** (-np.arange(count) / count)
    places = np.arange(np.prod(grid))
    image = np.concatenate(
        [
            coordinate[:, None] * frequencies
            for coordinate in np.divmod(places, grid[1])
        ],
        axis=-1,
    )
    return np.zeros((text_length, 2 * count), "float32"), image.astype(
        "float32"
    )


# What is turned, by what `rotary` says.
ANGLES = {True: rotary_angles, "image": image_angles}


class RowRotation:
    """Cosines and sines for [caption][image] rows and the reverse."""

    def __init__(self, text_length, grid, head_dim, rotary=True):
        text, image = ANGLES[rotary](text_length, grid, head_dim)
        # (2, S, a), [image][caption] rows first.
        self.angles = np.stack(
            [np.concatenate([image, text]), np.concatenate([text, image])]
        )

    def tables(self, text_to_image, dtype, order=None):
        """What `rotate` takes: a pair of tensors (1 or B, 1, S, a).

        `text_to_image` is the direction of all rows, or a bool tensor (B,).
        With `order`, int tensor (B, P), of rows with these image positions.
        """
        tables = np.cos(self.angles), np.sin(self.angles)
        if order is None:
            return tuple(
                choose(table, text_to_image, dtype)[:, None] for table in tables
            )
        length, count = self.angles.shape[1:]
        text_length = length - order.shape[1]
        # Of [image][caption] rows the tables' first part, then of the others.
        forward = ops.cast(text_to_image, "int32")[:, None]
        words = ops.arange(text_length, dtype="int32")[None]
        words = words + ops.where(forward > 0, length, order.shape[1])
        places = order + forward * (length + text_length)
        rows = ops.where(
            forward > 0,
            ops.concatenate([words, places], axis=1),
            ops.concatenate([places, words], axis=1),
        )
        return tuple(
            ops.take(
                ops.convert_to_tensor(table.reshape(-1, count), dtype),
                rows,
                axis=0,
            )[:, None]
            for table in tables
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
