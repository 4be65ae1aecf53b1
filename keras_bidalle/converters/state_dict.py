"""Reads checkpoints that torch wrote, without torch.

Both of torch's formats are known: the zip archive of versions since 1.6 and
the stream of pickles from before, which the published VGG16 weights have.
"""

import io
import os
import pathlib
import zipfile
from typing import Any

import numpy as np

from keras_bidalle.converters.unpickling import (
    CheckpointError,
    Placeholder,
    Storage,
    Tensor,
    TensorUnpickler,
)

# The first pickle of torch's old format.
_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
# Under which key training checkpoints have their weights.
_SECTIONS = ("state_dict", "weights")
_ITEM_SIZES = {"bfloat16": 2}


def read_checkpoint(path: str | os.PathLike[str]) -> Any:
    """Reads everything in a torch checkpoint that is data.

    Args:
        path: str or `pathlib.Path`, a file that `torch.save` wrote.

    Returns:
        What was saved, with NumPy arrays in the place of tensors (bfloat16
        as float32). Objects of the training program are left out.

    Raises:
        CheckpointError: a `ValueError`, when the file is damaged or not a
            torch checkpoint, or when its pickle asks for anything but
            tensors, containers and the usual companions. Nothing in the
            file is ever executed.
        FileNotFoundError: when there is no such file.
    """
    return _as_arrays(read_content(path))


def read_state_dict(path: str | os.PathLike[str]) -> Any:
    """Reads the weights in a torch checkpoint.

    Args:
        path: str or `pathlib.Path`: a saved state dict, or a training
            checkpoint (of Lightning, say) with one under `"state_dict"` or
            `"weights"`.

    Returns:
        Dict from parameter name to NumPy array.

    Raises:
        CheckpointError: as `read_checkpoint`, and when there are no weights.
        FileNotFoundError: when there is no such file.

    Example:

    ```python
    state_dict = read_state_dict("last.ckpt")
    state_dict["encoder.conv_in.weight"].shape  # (128, 3, 3, 3)
    ```
    """
    content = read_content(path)
    for key in _SECTIONS:
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if not isinstance(content, dict) or not any(
        isinstance(value, Tensor) for value in content.values()
    ):
        raise CheckpointError(f"`{path}` holds no state dict.")
    with readable(path):
        return {
            str(name): value.numpy()
            for name, value in content.items()
            if isinstance(value, Tensor)
        }


class readable:
    """A scope in which any error of a damaged file becomes one clear error."""

    def __init__(self, path):
        self.path = path

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if error is None or not isinstance(error, Exception):
            return
        raise CheckpointError(
            f"`{self.path}` is not a checkpoint that can be read: "
            f"{error or type(error).__name__}."
        ) from error


def read_content(path, unpickler=TensorUnpickler):
    """Reads what was saved, with a `Tensor` for each tensor.

    Args:
        path: str or `pathlib.Path`.
        unpickler: callable (file, make_storage) to a `TensorUnpickler`.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"There is no checkpoint file `{path}`.")
    with readable(path):
        with open(path, "rb") as file:
            start = file.read(4)
        if start == b"PK\x03\x04":
            return _read_archive(path, unpickler)
        return _read_legacy(path, unpickler)


def _read_archive(path, unpickler):
    """Since torch 1.6: a zip file of `data.pkl` and one entry a storage."""
    with zipfile.ZipFile(path) as archive:
        names = {info.filename: info.file_size for info in archive.infolist()}
        pickles = [name for name in names if name.endswith("/data.pkl")]
        if len(pickles) != 1:
            raise CheckpointError("the archive has no `data.pkl`")
        root = pickles[0].removesuffix("data.pkl")
        byte_order = "<"
        if root + "byteorder" in names:
            order = archive.read(root + "byteorder").decode()
            byte_order = {"little": "<", "big": ">"}[order]
        content = archive.read(pickles[0])

    storages = {}

    def make_storage(key, dtype, size):
        name = f"{root}data/{key}"

        def read():
            with zipfile.ZipFile(path) as archive:
                return archive.read(name)

        # Before reading, so that no archive unpacks to more than it claims.
        if names.get(name) != size * _item_size(dtype):
            raise CheckpointError(f"storage `{key}` is missing or cut short")
        if key not in storages:
            storages[key] = Storage(dtype, size, read, byte_order)
        return storages[key]

    return unpickler(io.BytesIO(content), make_storage).load()


def _read_legacy(path, unpickler):
    """Before torch 1.6: five pickles, then the storages one by one."""
    places = {}
    storages = {}

    def make_storage(key, dtype, size):
        def read():
            with open(path, "rb") as file:
                file.seek(places[key])
                if int.from_bytes(file.read(8), "little") != size:
                    raise CheckpointError(f"storage `{key}` is cut short")
                return file.read(size * _item_size(dtype))

        if key not in storages:
            storages[key] = Storage(dtype, size, read)
        return storages[key]

    with open(path, "rb") as file:

        def unpickle():
            return unpickler(file, make_storage).load()

        # Before anything else: a bare pickle is not a torch file.
        if unpickle() != _LEGACY_MAGIC:
            raise CheckpointError("it does not begin as torch files do")
        unpickle()  # The protocol's version.
        system = unpickle()
        if not system.get("little_endian", True):
            raise CheckpointError("it was written on a big-endian machine")
        content = unpickle()
        for key in unpickle():
            places[key] = file.tell()
            if key not in storages:
                raise CheckpointError(f"storage `{key}` is of unknown type")
            storage = storages[key]
            file.seek(8 + storage.size * _item_size(storage.dtype), 1)
    return content


def _item_size(dtype):
    return _ITEM_SIZES.get(dtype) or np.dtype(dtype).itemsize


def _as_arrays(node):
    if isinstance(node, Tensor):
        return node.numpy()
    if isinstance(node, dict):
        return {
            key: _as_arrays(value)
            for key, value in node.items()
            if not _is_placeholder(key) and not _is_placeholder(value)
        }
    if isinstance(node, (list, tuple)):
        return type(node)(
            _as_arrays(item) for item in node if not _is_placeholder(item)
        )
    return node


def _is_placeholder(value):
    return isinstance(value, Placeholder) or (
        isinstance(value, type) and issubclass(value, Placeholder)
    )


__all__ = ["CheckpointError", "read_checkpoint", "read_state_dict"]
