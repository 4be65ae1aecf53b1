"""Rows of latents in parts, where a codebook is large."""

from keras import ops

# Below it all rows go at once.
_LARGE = 2**15
# Codes for which rows are cut into one part more.
_CODES_A_PART = 4096


def row_chunks(z, num_codes):
    """Parts of latents (N, C), so that a table by codes fits in memory.

    No part is empty, unless N is 0 or only known when a program runs.
    """
    if num_codes <= _LARGE:
        return [z]
    count = num_codes // _CODES_A_PART
    rows = ops.shape(z)[0]
    size = -(-rows // count)
    if isinstance(rows, int):
        count = -(-rows // max(size, 1)) or 1
    return [z[part * size : (part + 1) * size] for part in range(count)]
