"""The files that weights come in: torch's two formats, and safetensors.

What they hold is read as data; numbers stay in the file until an array is
made of a tensor. No file makes the reader take more memory than its own size
and a constant, or reads what lies outside of it.
"""

import io
import json
import math
import os
import pathlib
import zipfile

import numpy as np

from keras_bidalle.converters.file_kinds import other_kind
from keras_bidalle.converters.tensors import (
    Storage,
    Tensor,
    storage_dtype,
    torch_dtype,
)
from keras_bidalle.converters.unpickling import (
    CheckpointError,
    Name,
    unpickle,
)
from keras_bidalle.messages import one_line

# The first pickle of torch's old format.
_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
# Compressed parts, which torch does not write, may unpack to so much.
_UNPACKED_SHARE, _UNPACKED_BYTES = 2, 1 << 26
_MAX_HEADER = 1 << 24
_CHUNK = 1 << 24
SAFETENSORS_DTYPES = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E5M2": "float8_e5m2",
    "C64": "complex64",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U64": "uint64",
    "U32": "uint32",
    "U16": "uint16",
    "U8": "uint8",
    "BOOL": "bool",
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
        reason = str(error) or type(error).__name__
        raise CheckpointError(
            one_line(
                f"`{pathlib.Path(self.path).name}` is not a checkpoint that "
                f"can be read: {reason}."
            )
        ) from error


def read_content(path):
    """What a file holds, as `unpickle` tells it, with its storages.

    Args:
        path: str or `pathlib.Path`.
    """
    path = pathlib.Path(path)
    if not os.path.isfile(path):
        raise FileNotFoundError(
            one_line(f"There is no checkpoint file `{path}`.")
        )
    with readable(path):
        with open(path, "rb") as file:
            start = file.read(512)
        if start[:4] == b"PK\x03\x04":
            return _Archive(path).content()
        if path.suffix.lower() == ".safetensors" or start[8:9] == b"{":
            return _safetensors(path)
        if path.name.endswith(".index.json"):
            return _shards(path)
        what = other_kind(start)
        if what:
            raise CheckpointError(f"it is {what}")
        return _legacy(path)


class _Archive:
    """Since torch 1.6: a zip file of `data.pkl` and one entry a storage."""

    def __init__(self, path):
        self.archive = zipfile.ZipFile(path)
        self.entries = {i.filename: i for i in self.archive.infolist()}
        pickles = [n for n in self.entries if n.endswith("/data.pkl")]
        if len(pickles) != 1:
            kinds = sorted({pathlib.PurePath(n).suffix for n in self.entries})
            raise CheckpointError(
                "it is a zip archive without the `data.pkl` of torch; it "
                f"holds files of the kinds {kinds[:5]}"
            )
        self.root = pickles[0].removesuffix("data.pkl")
        limit = _UNPACKED_SHARE * os.path.getsize(path) + _UNPACKED_BYTES
        if sum(i.file_size for i in self.entries.values()) > limit:
            raise CheckpointError("it unpacks to far more than its own size")
        self.byte_order = "<"
        if self.root + "byteorder" in self.entries:
            order = bytes(self._read(self.root + "byteorder")).decode()
            self.byte_order = {"little": "<", "big": ">"}[order]
        self.storages = {}

    def content(self):
        data = self._read(self.root + "data.pkl")
        return unpickle(io.BytesIO(data), self._storage)

    def _storage(self, identifier):
        key, dtype, size = _described(identifier)
        if isinstance(key, Name):
            return key
        if key in self.storages:
            return self.storages[key]
        entry = self.entries.get(f"{self.root}data/{key}")
        if entry is None or entry.file_size != size * dtype.itemsize:
            raise CheckpointError(f"storage `{key}` is missing or cut short")
        self.storages[key] = Storage(
            *(key, dtype, size, self._bytes),
            self.byte_order,
        )
        return self.storages[key]

    def _bytes(self, storage):
        return self._read(f"{self.root}data/{storage.key}")

    def _read(self, name):
        entry = self.entries[name]
        if entry.compress_type not in (
            zipfile.ZIP_STORED,
            zipfile.ZIP_DEFLATED,
        ):
            raise CheckpointError(f"`{name}` is compressed in an unknown way")
        with self.archive.open(entry) as file:
            return _filled(file, entry.file_size)


def _filled(file, size):
    """An array of bytes of a file, without another copy of them all."""
    data, done = np.empty(size, "uint8"), 0
    while done < size:
        chunk = file.read(min(_CHUNK, size - done))
        if not chunk:
            raise CheckpointError(f"{size - done} bytes are missing")
        data[done : done + len(chunk)] = np.frombuffer(chunk, "uint8")
        done += len(chunk)
    return data


def _described(identifier):
    """Key, dtype and size of a storage that a pickle refers to."""
    parts = identifier if isinstance(identifier, tuple) else ()
    if parts[:1] == ("module",) and len(parts) > 1:
        # Until version 1.6, torch wrote the source of a class beside it.
        return parts[1], None, None
    kind = parts[1] if len(parts) > 4 else None
    dtype = storage_dtype(kind.full) if isinstance(kind, Name) else None
    if parts[:1] != ("storage",) or dtype is None:
        raise CheckpointError("it refers to what is not a storage")
    key, size = parts[2], parts[4]
    if type(size) is not int or size < 0:
        raise CheckpointError("it refers to what is not a storage")
    return _key(key), dtype, size


def _key(key):
    # As text, tuples of tuples would have no end.
    if not isinstance(key, (str, int)):
        raise CheckpointError("it refers to what is not a storage")
    return str(key)


class _Pickles:
    """A file as `unpickle` reads it, which asks for no more than is there."""

    def __init__(self, file, size):
        self.file, self.size = file, size
        self.readline, self.tell = file.readline, file.tell

    def read(self, count):
        return self.file.read(min(count, self.size))


def _legacy(path):
    """Before torch 1.6: five pickles, then the storages one by one."""
    storages, places = {}, {}
    total = os.path.getsize(path)

    def read(storage):
        with open(path, "rb") as file:
            file.seek(places[storage.key])
            if int.from_bytes(file.read(8), "little") != storage.size:
                raise CheckpointError(f"storage `{storage.key}` is cut short")
            return _filled(file, storage.nbytes)

    def make_storage(identifier):
        key, dtype, size = _described(identifier)
        if isinstance(key, Name):
            return key
        if size * dtype.itemsize > total:
            raise CheckpointError(f"storage `{key}` is cut short")
        return storages.setdefault(key, Storage(key, dtype, size, read))

    with open(path, "rb") as file:
        pickles = _Pickles(file, total)

        def next_pickle():
            return unpickle(pickles, make_storage)

        # Before anything else: a bare pickle is not a torch file.
        if next_pickle() != _LEGACY_MAGIC:
            raise CheckpointError("it does not begin as torch files do")
        next_pickle()  # The protocol's version.
        if not next_pickle().get("little_endian", True):
            raise CheckpointError("it was written on a big-endian machine")
        content = next_pickle()
        place = None
        for key in map(_key, next_pickle()):
            place = file.tell() if place is None else place
            if key not in storages or key in places:
                raise CheckpointError(f"storage `{key}` is not known")
            places[key] = place
            place += 8 + storages[key].nbytes
    missing = set(storages) - set(places)
    if missing or (place or 0) > total:
        key = min(missing) if missing else "of the end"
        raise CheckpointError(f"storage `{key}` is cut short")
    return content


def _safetensors(path):
    """A header of JSON, and the numbers after it."""
    total = os.path.getsize(path)
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if not 2 <= length <= min(total - 8, _MAX_HEADER):
            start = length.to_bytes(8, "little")
            raise CheckpointError(
                f"it is {other_kind(start) or 'no safetensors file'}"
            )
        header = json.loads(file.read(length))
    if not isinstance(header, dict):
        raise CheckpointError("its header is not a JSON object")
    header.pop("__metadata__", None)
    start = 8 + length

    def tensor(name, entry):
        dtype = torch_dtype(SAFETENSORS_DTYPES.get(entry["dtype"]))
        shape = tuple(entry["shape"])
        begin, end = entry["data_offsets"]
        if dtype is None or any(
            type(n) is not int or n < 0 for n in (*shape, begin, end)
        ):
            raise CheckpointError(f"tensor `{name}` is not described")
        size = math.prod(shape)
        nbytes = size * dtype.itemsize
        if end - begin != nbytes or not begin <= end <= total - start:
            raise CheckpointError(f"tensor `{name}` is cut short")

        def read(storage):
            with open(path, "rb") as file:
                file.seek(start + begin)
                return _filled(file, nbytes)

        steps = np.cumprod([1, *shape[:0:-1]], dtype=object)[::-1]
        strides = tuple(map(int, steps)) if shape else ()
        return Tensor(Storage(name, dtype, size, read), 0, shape, strides)

    found = {}
    for name, entry in header.items():
        try:
            found[name] = tensor(name, entry)
        except (KeyError, TypeError) as error:
            raise CheckpointError(
                f"tensor `{name}` is not described"
            ) from error
    if sum(one.storage.nbytes for one in found.values()) > total:
        raise CheckpointError("its tensors overlap")
    return found


def _shards(path):
    """The index of a checkpoint in several files beside it."""
    # Here, as that module reads what this one opens.
    from keras_bidalle.converters.state_dict import mapping

    places = json.loads(path.read_bytes()[:_MAX_HEADER]).get("weight_map")
    if not isinstance(places, dict) or not places:
        raise CheckpointError("it is no index: it has no `weight_map`")
    found = {}
    for file_name in dict.fromkeys(places.values()):
        if file_name != pathlib.PurePath(str(file_name)).name:
            raise CheckpointError("it names files outside of its folder")
        # Of torch a dict, or an object that is one.
        content = mapping(read_content(path.parent / file_name)) or {}
        found |= {
            k: v for k, v in content.items() if places.get(k) == file_name
        }
    missing = set(places) - set(found)
    if missing:
        raise CheckpointError(f"its files do not hold `{min(missing)}`")
    return found
