"""Codes of a data set, computed once for a tokenizer and kept on disk."""

import hashlib
import json
import os
import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np

from keras_bidalle.files import atomic_path


def fingerprint(tokenizer: Any) -> str:
    """A digest of all that decides an image tokenizer's codes.

    Args:
        tokenizer: `keras_bidalle.image_tokenizers.ImageTokenizer`.

    Returns:
        str, the SHA-256 of its configuration and weights.
    """
    digest = hashlib.sha256()
    config = json.dumps(tokenizer.get_config(), sort_keys=True, default=str)
    digest.update(config.encode())
    for weight in tokenizer.get_weights():
        weight = np.ascontiguousarray(weight)
        digest.update(f"{weight.dtype}{weight.shape}".encode())
        digest.update(weight.tobytes())
    return digest.hexdigest()


def cached_codes(
    path: str | os.PathLike[str],
    tokenizer: Any,
    make_images: Callable[[int, int], np.ndarray],
    count: int,
    source: str,
    batch_size: int = 256,
    progress: Callable[[int], Any] | None = None,
) -> np.ndarray:
    """Codes of `count` images, read from `path` where they are known.

    The file names the tokenizer and the images that it was made from: one
    that was made from others, or that is damaged, is made anew.

    Args:
        path: str or `pathlib.Path`, an `.npz` file.
        tokenizer: `keras_bidalle.image_tokenizers.ImageTokenizer`.
        make_images: callable from a first and a last index (exclusive) to
            the images between, uint8 (n, H, W, C).
        count: int, how many images there are.
        source: str, what the images are (data set, split, seed): whatever
            changes them must change it.
        batch_size: int, images encoded at once.
        progress: callable of the number of images done, or `None`.

    Returns:
        integer NumPy array (count, *code_shape), of the smallest unsigned
        type that holds the codebook.
    """
    path = pathlib.Path(path)
    key = f"{fingerprint(tokenizer)} {count} {source}"
    codes = _read(path, key, (count, *tokenizer.code_shape))
    if codes is not None:
        return codes
    dtype = np.min_scalar_type(tokenizer.num_codes - 1)
    codes = np.empty((count, *tokenizer.code_shape), dtype)
    for at in range(0, count, batch_size):
        end = min(at + batch_size, count)
        codes[at:end] = tokenizer.encode(
            make_images(at, end), batch_size=batch_size
        )
        if progress is not None:
            progress(end)
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        np.savez_compressed(
            file, codes=codes, key=np.array(key), digest=_digest(codes)
        )
    return codes


def _read(path, key, shape):
    if not path.is_file():
        return None
    try:
        with np.load(path, allow_pickle=False) as stored:
            if str(stored["key"]) != key:
                return None
            codes = stored["codes"]
            if codes.shape == shape and stored["digest"] == _digest(codes):
                return codes
            error = "not the codes that were written, or no digest of them"
    # Whatever a damaged archive raises, its codes are made anew.
    except Exception as caught:
        error = str(caught)[:100]
    print(f"{path} cannot be used ({error}): computing its codes anew.")
    return None


def _digest(codes):
    return hashlib.sha256(np.ascontiguousarray(codes).tobytes()).hexdigest()
