"""Sparse attention over what it sees gives what masked attention gives."""

import numpy as np
import pytest
from keras import ops

from keras_bidalle.transformer.attention_masks import (
    ATTENTION_KINDS,
    attention_mask,
)
from keras_bidalle.transformer.key_blocks import KeyBlocks, key_blocks

GRID, P = (6, 8), 48


def seen_by(kind, grid=GRID):
    count = grid[0] * grid[1]
    return attention_mask(kind, False, 3, grid, 5)[:count, :count]


def plain(query, key, value, seen):
    scores = np.einsum("bhqe,bhke->bhqk", query, key)
    scores = np.where(seen, scores, -np.inf)
    odds = np.exp(scores - scores.max(axis=-1, keepdims=True))
    odds /= odds.sum(axis=-1, keepdims=True)
    return np.einsum("bhqk,bhke->bhqe", odds, value)


@pytest.mark.parametrize("kind", ATTENTION_KINDS)
@pytest.mark.parametrize("columns", [False, True])
def test_blocks_attend_as_one_masked_table(kind, columns):
    rng = np.random.default_rng(0)
    query, key, value = rng.normal(size=(3, 2, 3, P, 4)).astype("float32")
    seen = seen_by(kind)
    places = np.arange(P).reshape(GRID)
    blocks = KeyBlocks(seen, places.T if columns else places, -1e9)
    found = blocks.attend(*map(ops.convert_to_tensor, (query, key, value)))
    np.testing.assert_allclose(
        ops.convert_to_numpy(found),
        plain(query, key, value, seen),
        rtol=1e-5,
        atol=1e-6,
    )


@pytest.mark.parametrize(
    ("kind", "scores"),
    [
        ("full", None),
        ("axial_row", 16 * 16 * 16),
        ("axial_column", 16 * 16 * 16),
        # Three of the image's rows, the own one with them.
        ("conv_like", 16 * 16 * 48),
        ("raster_row", 16 * 16 * 32),
        # A window's sides wrap into the row before its first.
        ("raster_conv", 16 * 16 * 50),
    ],
)
def test_of_a_sparse_image_few_scores_are_left(kind, scores):
    blocks = key_blocks(seen_by(kind, (16, 16)), (16, 16), -1e9)
    assert (blocks and blocks.scores) == scores
