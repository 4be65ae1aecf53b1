"""Reads the constants of a frozen TensorFlow graph, without TensorFlow.

A GraphDef is a protocol buffer: fields, each a number, a kind and a value.
Numbers of fields are those of tensorflow/core/framework/*.proto.
"""

import math
import os
import pathlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from keras_bidalle.converters.unpickling import CheckpointError

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_FLOAT = 1


def read_constants(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """The float constants of a frozen graph.

    Args:
        path: str or `pathlib.Path` of a `.pb` file.

    Returns:
        dict from a node's name to a float32 array.

    Raises:
        CheckpointError: when the file is damaged or no frozen graph.
        FileNotFoundError: when there is no such file.
    """
    path = pathlib.Path(path)
    if not os.path.isfile(path):
        raise FileNotFoundError(f"There is no graph `{path}`.")
    try:
        content = memoryview(path.read_bytes())
        nodes = [
            _node(value) for field, value in _fields(content) if field == 1
        ]
    except (IndexError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"`{path.name}` is not a frozen graph that can be read: "
            f"{type(error).__name__}: {str(error)[:100]}"
        ) from error
    found = {name: array for name, array in nodes if array is not None}
    if not found:
        raise CheckpointError(f"`{path.name}` holds no constants.")
    return found


def _node(content: memoryview) -> tuple[str, np.ndarray | None]:
    """NodeDef: its name (1), and of a Const (2) the tensor in `attr` (5)."""
    name, kind, tensor = "", "", None
    for field, value in _fields(content):
        if field == 1:
            name = _text(value)
        elif field == 2:
            kind = _text(value)
        elif field == 5:
            entry = dict(_fields(value))
            if _text(entry[1]) == "value":
                # AttrValue.tensor
                tensor = dict(_fields(entry[2])).get(8)
    return name, _tensor(tensor) if kind == "Const" and tensor else None


def _text(value: int | memoryview) -> str:
    # `bytes` of a number would be as many zeros.
    if isinstance(value, int):
        raise ValueError("a number where there should be a name")
    return str(bytes(value), "utf-8")


def _tensor(content: memoryview) -> np.ndarray | None:
    """TensorProto: dtype (1), shape (2), content (4) or float_val (5)."""
    shape: tuple[int, ...] = ()
    dtype, data, values = 0, b"", []
    for field, value in _fields(content):
        if field == 1:
            dtype = value
        elif field == 2:
            shape = tuple(
                # Dim.size; zero is not written.
                dict(_fields(dim)).get(1, 0)
                for number, dim in _fields(value)
                if number == 2
            )
        elif field == 4:
            data = value
        elif field == 5:
            values.append(value)
    if dtype != _FLOAT:
        return None
    array = np.frombuffer(data or b"".join(values), "<f4")
    count = math.prod(shape)
    if array.size == 1 != count and 0 < count <= 1 << 20:
        # One value stands for all.
        array = array.repeat(count)
    if array.size != count:
        raise ValueError(f"a tensor of shape {shape} has {array.size} numbers")
    return array.reshape(shape)


def _fields(content: memoryview) -> Iterator[tuple[int, Any]]:
    """Yields the number of each field of a message, and its value.

    An int, or a `memoryview` of what has a length.
    """
    at = 0
    while at < len(content):
        tag, at = _varint(content, at)
        field, kind = tag >> 3, tag & 7
        if kind == _VARINT:
            value, at = _varint(content, at)
            yield field, value
            continue
        if kind == _BYTES:
            size, at = _varint(content, at)
        elif kind in (_FIXED32, _FIXED64):
            size = 4 if kind == _FIXED32 else 8
        else:
            raise ValueError(f"a field of the unknown kind {kind}")
        if size > len(content) - at:
            raise ValueError("a field is cut short")
        yield field, content[at : at + size]
        at += size


def _varint(content: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        byte = content[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
    raise ValueError("a number that does not end")
