"""Samples in the form that other evaluators take."""

import os
from typing import Any

import numpy as np

from keras_bidalle.files import atomic_path


def export_adm_npz(path: str | os.PathLike[str], images: Any) -> None:
    """Writes samples as the evaluator of ADM (guided-diffusion) reads them.

    Args:
        path: str or `pathlib.Path`, the `.npz` file.
        images: uint8 array (N, H, W, 3), under `arr_0`.

    Raises:
        ValueError: on anything else.
    """
    images = np.asarray(images)
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] != 3:
        raise ValueError(
            "`images` must be uint8 of shape (N, H, W, 3). Received: "
            f"dtype={images.dtype}, shape={images.shape}"
        )
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, images)
