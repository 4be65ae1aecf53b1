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
        path: `pathlib.Path`, ending in `.npz`.
        state: dict of JSON values.
        groups: dict from str, without a dot, to a list of NumPy arrays.

    Raises:
        OSError: if the disk is full or gone; what was at `path` is as it was.
    """
    state = {"format": FORMAT, **state}
    arrays = {"state": np.frombuffer(json.dumps(state).encode(), "uint8")}
    for group, values in groups.items():
        for i, value in enumerate(values):
            arrays[f"{group}.{i:05d}"] = _storable(value)
    with atomic_path(path) as temporary:
        with _HashingFile(temporary) as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]
            file.write_raw(_MARK + file.hexdigest().encode())
    # The rename is on the disk once the folder is.
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def read_checkpoint(path: pathlib.Path) -> tuple[dict, dict]:
    """Reads a checkpoint and compares its checksum.

    Args:
        path: `pathlib.Path`.

    Returns:
        Tuple of the state and the groups, as given to `write_checkpoint`.

    Raises:
        DamagedCheckpoint: if it is not what was written.
        OSError: if the file cannot be opened.
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
        left = file.seek(0, os.SEEK_END) - _TAIL
        if left <= 0:
            raise DamagedCheckpoint("it is cut short")
        file.seek(0)
        while left:
            block = file.read(min(left, 1 << 20))
            if not block:
                raise DamagedCheckpoint("it is cut short")
            digest.update(block)
            left -= len(block)
        if file.read() != _MARK + digest.hexdigest().encode():
            raise DamagedCheckpoint("wrong checksum")


def _storable(value):
    array = np.asarray(value)
    # .npz has no bfloat16; float32 holds all of it.
    return array.astype("float32") if array.dtype.name == "bfloat16" else array


class _HashingFile(io.RawIOBase):
    """A file to write from front to back, that knows its checksum.

    It cannot seek: the archive's writer would go back to fill in lengths,
    and the checksum would have to be read back from the disk.
    """

    def __init__(self, path):
        self._file = open(path, "wb")
        self._digest = hashlib.sha256()

    def writable(self):
        return True

    def write(self, data):
        self._digest.update(data)
        return self.write_raw(data)

    def write_raw(self, data):
        return self._file.write(data)

    def hexdigest(self):
        return self._digest.hexdigest()

    def flush(self):
        if not self._file.closed:
            self._file.flush()

    def close(self):
        if self.closed:
            return
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
        finally:
            # Of two errors the first one tells why.
            self._discard()
            super().close()

    def _discard(self):
        try:
            self._file.close()
        except OSError:
            pass
