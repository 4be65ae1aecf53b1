"""Checkpoints on the disk: written all or not at all, checked when read.

A checkpoint is a NumPy archive (.npz) with the SHA-256 of all that stands
before it as its last 71 bytes. Any cut and any changed bit is found; NumPy
alone can open the file too.
"""

import contextlib
import errno
import fcntl
import hashlib
import io
import json
import os
import pathlib
import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from keras_bidalle.files import as_path, atomic_path
from keras_bidalle.messages import one_line
from keras_bidalle.training.folder_lock import alone_in
from keras_bidalle.validation import check_positive

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
    with contextlib.ExitStack() as stack, atomic_path(path) as temporary:
        # Until the rename, so that no other process takes it for a rest.
        mine = stack.enter_context(open(temporary, "rb"))
        with contextlib.suppress(OSError):
            fcntl.flock(mine, fcntl.LOCK_EX)
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


class CheckpointFolder:
    """The newest `keep` checkpoints of one run, a file for each step."""

    def __init__(self, path: str | pathlib.Path, keep: int):
        check_positive(keep=keep)
        self.path = as_path("folder", path)
        self.keep = keep

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """A context in which no other run writes checkpoints here."""
        with alone_in(self.path):
            self.remove_unfinished()
            yield

    def remove_unfinished(self) -> None:
        """Removes what a killed run was writing, and nobody is."""
        for file in self.path.glob(".step-*.npz*"):
            with contextlib.suppress(OSError), open(file, "rb") as mine:
                # Whoever has just made it will lock it before it writes.
                status = os.fstat(mine.fileno())
                if status.st_size or time.time() - status.st_mtime > 60:
                    fcntl.flock(mine, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    file.unlink()

    def file(self, step: int) -> pathlib.Path:
        """Where the checkpoint of a step is, or would be."""
        return self.path / f"step-{step:09d}.npz"

    def read(self, step: int) -> tuple[dict, dict]:
        """The checkpoint of a step, as `read_checkpoint` gives it."""
        return read_checkpoint(self.file(step))

    def read_newest(self) -> tuple[dict, dict] | None:
        """The newest undamaged checkpoint, `None` where there is none.

        Raises:
            DamagedCheckpoint: if there are some and none can be read.
        """
        files = self.files()
        for file in reversed(files):
            try:
                return read_checkpoint(file)
            except (DamagedCheckpoint, OSError) as error:
                print(f"Checkpoint {file} is damaged ({error}); passed over.")
        if files:
            raise DamagedCheckpoint(
                one_line(
                    f"No checkpoint in {self.path} can be read: {len(files)} "
                    "are damaged. Remove them to begin the run anew."
                )
            )
        return None

    def write(self, state: dict[str, Any], groups: dict[str, list]) -> None:
        """Writes a checkpoint and removes those beyond `keep`."""
        try:
            write_checkpoint(self.file(state["step"]), state, groups)
        except OSError as error:
            raise self._explained(error, state["step"], groups) from error
        for file in self.files()[: -self.keep]:
            file.unlink()

    def clear(self) -> None:
        """Removes all checkpoints."""
        for file in self.files():
            file.unlink()

    def files(self) -> list[pathlib.Path]:
        """Those that are there, the oldest first."""
        return sorted(self.path.glob("step-*.npz"))

    def _explained(self, error, step, groups):
        size = sum(a.nbytes for arrays in groups.values() for a in arrays)
        last = self.files()[-1:]
        advice = ""
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            advice = (
                f" A checkpoint takes {size / 1e6:.1f} MB, and for a moment "
                f"there are `keep` + 1 = {self.keep + 1} of them: make room."
            )
        return OSError(
            error.errno,
            f"{error.strerror or error}: the checkpoint of step {step} could "
            f"not be written. {last[0] if last else 'Nothing'} is saved."
            + advice,
            str(self.path),
        )


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
