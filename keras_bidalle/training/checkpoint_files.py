"""The file that a checkpoint is: written all or not at all, checked when read.

A NumPy archive (.npz) with the SHA-256 of all that stands before it as its
last 71 bytes. Any cut and any changed bit is found; NumPy alone can open the
file too.
"""

import hashlib
import io
import json
import os
import pathlib
from typing import Any

import numpy as np

from keras_bidalle.files import atomic_path

FORMAT = 2
_MARK = b"sha256:"
_TAIL = len(_MARK) + 64


class DamagedCheckpoint(ValueError):
    """A checkpoint is not what was written."""


def write_checkpoint(
    path: pathlib.Path, state: dict[str, Any], groups: dict[str, list]
) -> None:
    """Writes a checkpoint so that a kill leaves all of it or nothing.

    Args:
        path: ends in `.npz`.
        state: dict of JSON values.
        groups: dict from str, without a dot, to a list of NumPy arrays.
    """
    state = {"format": FORMAT, **state}
    arrays = {"state": np.frombuffer(json.dumps(state).encode(), "uint8")}
    for group, values in groups.items():
        for i, value in enumerate(values):
            arrays[f"{group}.{i:05d}"] = _storable(value)
    with atomic_path(path) as temporary:
        with _HashingFile(temporary) as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]
            file.write(_MARK + file.digest.hexdigest().encode())
            file.flush()
            os.fsync(file.fileno())
    # The rename is on the disk once the folder is.
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def read_checkpoint(path: pathlib.Path) -> tuple[dict, dict]:
    """What was given to `write_checkpoint`: the state and the groups.

    Raises:
        DamagedCheckpoint: if it is not what was written.
    """
    _verify(path)
    groups: dict[str, list] = {}
    with np.load(path, allow_pickle=False) as saved:
        state = json.loads(saved["state"].tobytes())
        if state["format"] != FORMAT:
            raise DamagedCheckpoint(f"format {state['format']}, not {FORMAT}")
        for name in sorted(saved.files):
            if name != "state":
                groups.setdefault(name.split(".")[0], []).append(saved[name])
    return state, groups


def _verify(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        left = os.fstat(file.fileno()).st_size - _TAIL
        while left > 0 and (block := file.read(min(left, 1 << 20))):
            digest.update(block)
            left -= len(block)
        if left:
            raise DamagedCheckpoint("it is cut short")
        if file.read() != _MARK + digest.hexdigest().encode():
            raise DamagedCheckpoint("wrong checksum")


def _storable(value):
    array = np.asarray(value)
    # .npz has no bfloat16; float32 holds all of it.
    return array.astype("float32") if array.dtype.name == "bfloat16" else array


class _HashingFile(io.BufferedWriter):
    """A file to write from front to back, that knows its checksum."""

    def __init__(self, path):
        super().__init__(open(path, "wb", buffering=0))
        self.digest = hashlib.sha256()

    def tell(self):
        # Else the archive's writer would go back to fill in lengths.
        raise io.UnsupportedOperation("tell")

    def write(self, data):
        self.digest.update(data)
        return super().write(data)
