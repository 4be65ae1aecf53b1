"""What callers ask of a generator beside settings, checked, as arrays."""

import numpy as np


def checked_text(text, generator):
    """Rows of caption tokens: int32 (B, T)."""
    text = np.asarray(text)
    length, vocabulary = generator.text_length, generator.text_vocabulary_size
    if (
        text.ndim != 2
        or text.shape[1] != length
        or text.dtype.kind not in "iu"
        or (text.size and (text.min() < 0 or text.max() >= vocabulary))
    ):
        raise ValueError(
            f"`text` must be integers of shape (batch, {length}) in [0, "
            f"{vocabulary}). Received: shape={text.shape}, dtype={text.dtype}"
        )
    return text.astype("int32")


def checked_prime(prime, count, generator):
    """The first positions of pictures, none by default: int32 (B, n, c)."""
    stack = generator.codes_per_position
    if prime is None:
        return np.zeros((count, 0, stack), "int32")
    prime = np.asarray(prime, "int32")
    if (
        prime.ndim != 3
        or (prime.shape[0], prime.shape[2]) != (count, stack)
        or prime.shape[1] >= generator.num_positions
    ):
        raise ValueError(
            f"`prime` must have shape ({count}, n, {stack}) with n below "
            f"{generator.num_positions}. Received: shape={prime.shape}"
        )
    return prime


def checked_seeds(seed, count):
    """list of B int."""
    seeds = np.asarray(seed)
    if (
        seeds.dtype.kind not in "iu"
        or seeds.shape not in ((), (count,))
        or (seeds < 0).any()
    ):
        raise ValueError(
            f"`seed` must be an integer of at least 0, or {count} of them. "
            f"Received: seed={seed!r}"
        )
    return np.broadcast_to(seeds, (count,)).tolist()
