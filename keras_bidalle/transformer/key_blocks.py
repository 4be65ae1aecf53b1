"""Attention of which each position sees little, over what it sees."""

from typing import Any

import numpy as np
from keras import ops

# A table of scores is made smaller by so much at least, or left whole: keys
# are gathered first.
_WORTH = 2


class KeyBlocks:
    """Blocks of queries, each with those keys that any of its queries sees.

    Of a 16 x 16 image, rows that see themselves take 16 tables of 16 x 16
    scores, and not one of 256 x 256 of which 1 in 32 counts.

    Args:
        seen: bool NumPy array (n, n), `[i, j]` says whether position i looks
            at position j. Each looks at one at least.
        queries: int NumPy array (blocks, q), the positions in blocks.
        hidden: float, what is added to scores that must not count.
    """

    def __init__(self, seen: np.ndarray, queries: np.ndarray, hidden: float):
        of_blocks = seen[queries]
        wanted = of_blocks.any(axis=1)
        most = int(wanted.sum(axis=1).max())
        # Those that are wanted first, in their order; the rest is hidden.
        keys = np.argsort(~wanted, axis=1, kind="stable")[:, :most]
        found = np.take_along_axis(of_blocks, keys[:, None], axis=2)
        self._queries = queries.astype("int32")
        self._keys = keys.astype("int32")
        self._back = np.argsort(queries.ravel()).astype("int32")
        self._mask = np.where(found, np.float32(0), np.float32(hidden))

    @property
    def scores(self) -> int:
        """How many scores there are of each head."""
        return self._mask.size

    def attend(self, query: Any, key: Any, value: Any) -> Any:
        """Attention of scaled queries: (B, heads, n, head_dim), as they are."""
        query = self._blocks(query, self._queries)
        key, value = (self._blocks(part, self._keys) for part in (key, value))
        scores = ops.matmul(query, ops.transpose(key, (0, 1, 2, 4, 3)))
        scores = scores + ops.convert_to_tensor(self._mask, scores.dtype)
        heads = ops.matmul(ops.softmax(scores, axis=-1), value)
        shape = (-1, query.shape[1], len(self._back), query.shape[4])
        return ops.take(ops.reshape(heads, shape), self._back, axis=2)

    @staticmethod
    def _blocks(x, places):
        """(B, heads, n, e) as (B, heads, blocks, places of one, e)."""
        found = ops.take(x, places.ravel(), axis=2)
        return ops.reshape(found, (-1, x.shape[1], *places.shape, x.shape[3]))


def key_blocks(
    seen: np.ndarray, grid: tuple, hidden: float
) -> KeyBlocks | None:
    """The blocks, rows or columns of a grid, that leave the fewest scores.

    Args:
        seen, hidden: as of `KeyBlocks`; n positions of a grid.
        grid: tuple (rows, columns).

    Returns:
        `KeyBlocks`, or `None` where they would not halve the scores.
    """
    positions = np.arange(len(seen)).reshape(grid)
    found = [KeyBlocks(seen, q, hidden) for q in (positions, positions.T)]
    best = min(found, key=lambda blocks: blocks.scores)
    return best if _WORTH * best.scores <= seen.size else None
