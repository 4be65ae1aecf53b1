"""What callers ask of a generator, checked and as arrays."""

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


_RANGES = {
    "temperature": ("float32", "at least 0", lambda v: v >= 0),
    "top_k": ("int32", "at least 1", lambda v: v >= 1),
    "top_p": ("float32", "in (0, 1]", lambda v: (v > 0) & (v <= 1)),
    "guidance_scale": ("float32", "at least 0", lambda v: v >= 0),
}


def checked_settings(settings, count, stack, generator):
    """Settings that are given, as arrays (B,) or (B, stack)."""
    checked = {}
    for name, value in settings.items():
        if value is None:
            continue
        dtype, meaning, within = _RANGES[name]
        array = np.asarray(value)
        kinds = "iu" if dtype == "int32" else "iuf"
        shapes = [(), (count,)]
        if stack > 1:
            # Not (stack,): what it means would hang on the batch's size.
            shapes += [(1, stack), (count, stack)]
        if (
            array.dtype.kind not in kinds
            or array.shape not in shapes
            or not np.all(within(array))
        ):
            each = (
                f", or an array ({count} or 1, {stack}) with one for each "
                "code of a position"
                if stack > 1
                else ""
            )
            raise ValueError(
                f"`{name}` must be {meaning}, one value or {count}{each}. "
                f"Received: {name}={value!r}"
            )
        shape = (count, *array.shape[1:])
        checked[name] = np.broadcast_to(array, shape).astype(dtype)
    if "top_k" in checked or "top_p" in checked:
        # One program for whatever filters are given: these keep everything.
        checked.setdefault("top_k", np.zeros((count,), "int32"))
        checked.setdefault("top_p", np.ones((count,), "float32"))
    if "guidance_scale" in checked and not generator.condition_dropout:
        raise ValueError(
            "`guidance_scale` needs a generator trained with "
            "`condition_dropout` above 0, which this one was not."
        )
    return checked
