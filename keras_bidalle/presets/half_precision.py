"""Weights files of half the size, for presets that are shipped."""

import pathlib

import h5py
import numpy as np

from keras_bidalle.files import atomic_path


def halve_weights(path: str | pathlib.Path) -> None:
    """Rewrites a Keras weights file with float16 in the place of float32.

    Models load it as any other and compute in their own dtype: only the
    stored values are rounded, to 11 significant bits.

    Args:
        path: str or `pathlib.Path`, a `.weights.h5` file.
    """
    with atomic_path(path) as temporary:
        with h5py.File(path) as source, h5py.File(temporary, "w") as target:
            _copy(source, target)


def _copy(source, target):
    for name, value in source.attrs.items():
        target.attrs[name] = value
    for name, item in source.items():
        if isinstance(item, h5py.Group):
            _copy(item, target.create_group(name))
            continue
        values = item[()]
        if item.dtype == "float32":
            with np.errstate(over="ignore"):
                half = values.astype("float16")
            # Counters and the like may lie beyond what float16 holds.
            if np.isfinite(half).all():
                values = half
        copied = target.create_dataset(name, data=values)
        for key, value in item.attrs.items():
            copied.attrs[key] = value
