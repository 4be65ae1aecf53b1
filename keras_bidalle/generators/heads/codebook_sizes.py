"""Depths of a stack whose codebooks have fewer codes than the largest.

Tables and classifiers are of the largest one's size; what a depth does not
have is never drawn.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from keras import ops

from keras_bidalle.messages import shown
from keras_bidalle.validation import check_positive, is_integer

# The logit of codes that a depth's smaller codebook does not have.
NO_CODE = -1e6


def checked_sizes(
    sizes: Sequence[int] | None, depth: int, num_codes: int
) -> tuple[int, ...] | None:
    """The argument `codebook_sizes`: a tuple of D int, or `None`.

    Raises:
        ValueError: if it is something else.
    """
    check_positive(num_codes=num_codes)
    if sizes is None:
        return None
    if (
        not isinstance(sizes, Sequence)
        or len(sizes) != depth
        or not all(is_integer(n) and 0 < n <= num_codes for n in sizes)
    ):
        raise ValueError(
            f"`codebook_sizes` must be {depth} integers in [1, {num_codes}], "
            f"one for each depth. Received: codebook_sizes={shown(sizes)}"
        )
    return tuple(map(int, sizes))


def without_missing(biases: Any, sizes: Sequence[int]) -> Any:
    """Biases of logits (1 or D, K), as float32 (D, K) that leave codes out."""
    exist = np.arange(biases.shape[-1]) < np.array(sizes)[:, None]
    return ops.where(exist, biases, NO_CODE)


def sizes_left(biases: Any) -> tuple[int, ...]:
    """How many codes biases (n, K) leave at each depth: tuple of n int."""
    biases = ops.convert_to_numpy(ops.cast(biases, "float32"))
    return tuple(np.sum(biases > NO_CODE / 2, axis=-1).tolist())
