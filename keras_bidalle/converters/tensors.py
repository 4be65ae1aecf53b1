"""Tensors and arrays in pickles that were read as data."""

import math
import re
import weakref
from collections.abc import Callable

import ml_dtypes
import numpy as np

from keras_bidalle.converters.unpickling import CheckpointError, Name, Record

# torch's names of what tensors are made of. NumPy has no name for some.
_TORCH_DTYPES = {
    **{
        name: np.dtype(name)
        for name in (
            *("float64", "float32", "float16", "complex64", "complex128"),
            *("int64", "int32", "int16", "int8", "bool"),
            *("uint64", "uint32", "uint16", "uint8"),
        )
    },
    **{
        name: np.dtype(getattr(ml_dtypes, name))
        for name in (
            *("bfloat16", "float8_e4m3fn", "float8_e4m3fnuz"),
            *("float8_e5m2", "float8_e5m2fnuz", "float8_e8m0fnu"),
        )
    },
}
_STORAGES = {
    "Double": "float64",
    "Float": "float32",
    "Half": "float16",
    "BFloat16": "bfloat16",
    "ComplexFloat": "complex64",
    "ComplexDouble": "complex128",
    "Long": "int64",
    "Int": "int32",
    "Short": "int16",
    "Char": "int8",
    "Byte": "uint8",
    "Bool": "bool",
    "Untyped": "uint8",
}
_NUMPY_DTYPE = re.compile(r"[?]|bool|[biufc]\d{1,2}|(u?int|float)\d{1,3}")


def torch_dtype(name):
    """A NumPy dtype for torch's name of one, or `None`."""
    return _TORCH_DTYPES.get(name)


def storage_dtype(name):
    """The dtype of a class of storages, or `None` for another name."""
    found = re.fullmatch(r"torch\.(?:storage\.)?(\w+)Storage", name)
    return found and _TORCH_DTYPES.get(_STORAGES.get(found[1]))


class Storage:
    """A run of numbers somewhere in a file, read when it is asked for.

    Args:
        key: str, its name in error messages.
        dtype: NumPy dtype.
        size: int, how many numbers.
        read: callable from the storage to its bytes, an array of uint8.
        byte_order: `"<"` or `">"`.

    Attributes:
        is_kept: bool, whether the numbers stay once they were read; else
            only as long as somebody holds on to them.
    """

    def __init__(self, key, dtype, size, read, byte_order="<"):
        self.key, self.dtype, self.size = key, dtype, size
        self._read, self._byte_order = read, byte_order
        self.is_kept = False
        self._alive: Callable = lambda: None

    @property
    def nbytes(self):
        return self.size * self.dtype.itemsize

    def values(self):
        """The numbers: one array, however many tensors hold on to it."""
        values = self._alive()
        if values is None:
            data = self._read(self)
            dtype = self.dtype.newbyteorder(self._byte_order)
            values = data.view(dtype).astype(self.dtype, copy=False)
            if self.dtype.kind == "V" or self.dtype.name.startswith("bfloat"):
                # NumPy's own functions know float32.
                values = values.astype("float32")
            self._alive = weakref.ref(values)
            if self.is_kept:
                self._alive = lambda: values
        return values


class Tensor:
    """A tensor that is read when an array is made of it.

    Args:
        storage: `Storage`.
        offset: int, where it begins.
        shape, strides: tuple of int, in numbers and not in bytes.
    """

    def __init__(self, storage, offset, shape, strides):
        if not isinstance(storage, Storage):
            raise CheckpointError("a tensor has no storage")
        numbers = (offset, *shape, *strides)
        if (
            len(shape) != len(strides)
            or len(shape) > 32
            or any(type(n) is not int or not 0 <= n < 2**62 for n in numbers)
        ):
            raise CheckpointError("a tensor has an impossible shape")
        pairs = zip(shape, strides, strict=True)
        last = offset + sum((size - 1) * stride for size, stride in pairs)
        if 0 not in shape and last >= storage.size:
            raise CheckpointError("a tensor reaches beyond its storage")
        self.storage, self.offset = storage, offset
        self.shape, self.strides = tuple(shape), tuple(strides)

    @property
    def ndim(self):
        return len(self.shape)

    def numpy(self):
        """Returns the tensor as a view of its storage."""
        if 0 in self.shape:
            return np.zeros(self.shape, self.storage.dtype)
        values = self.storage.values()[self.offset :]
        strides = [stride * values.itemsize for stride in self.strides]
        # Elements that are one in memory cannot be written to one by one.
        overlaps = math.prod(self.shape) > values.size
        return np.lib.stride_tricks.as_strided(
            values, self.shape, strides, writeable=not overlaps
        )

    def __array__(self, dtype=None, copy=None):
        return np.array(self.numpy(), dtype, copy=copy)


def as_tensor(value):
    """The `Tensor` that a pickle describes, or `None` for something else."""
    seen = 0
    while isinstance(value, Record) and value.name in _WRAPPERS and seen < 8:
        value, seen = _part(value.arguments, 0), seen + 1
    if isinstance(value, Tensor):
        return value
    if isinstance(value, Record) and value.name in _BUILDERS:
        return _BUILDERS[value.name](value)
    return None


def _part(values, index):
    if not isinstance(values, (tuple, list)) or len(values) <= index:
        raise CheckpointError("a tensor has parts missing")
    return values[index]


def _torch_tensor(record):
    if record.states:
        raise CheckpointError("it changes a tensor")
    storage, offset, shape, strides = (
        _part(record.arguments, i) for i in range(4)
    )
    if not isinstance(shape, tuple) or not isinstance(strides, tuple):
        raise CheckpointError("a tensor has an impossible shape")
    if record.name.endswith("_v3") and isinstance(storage, Storage):
        storage = _retyped(storage, _part(record.arguments, 6))
    return Tensor(storage, offset, shape, strides)


def _retyped(storage, name):
    """An untyped storage as that of a dtype."""
    full = name.full if isinstance(name, Name) else ""
    dtype = torch_dtype(full.removeprefix("torch."))
    if dtype is None:
        raise CheckpointError(f"a tensor has the unknown dtype `{full}`")
    size = storage.nbytes // dtype.itemsize
    return Storage(storage.key, dtype, size, lambda _: _bytes(storage))


def _bytes(storage):
    return storage.values().view("uint8")


def _torch_subclass(record):
    """`_rebuild_from_type_v2(function, class, arguments, state)`."""
    function, arguments = (_part(record.arguments, i) for i in (0, 2))
    if not isinstance(function, Name) or not isinstance(arguments, tuple):
        return None
    return as_tensor(Record(function.full, arguments))


def _numpy_array(record):
    """`_reconstruct`, with (version, shape, dtype, in Fortran's order, data)
    as its state."""
    if len(record.states) != 1:
        raise CheckpointError("an array has no numbers")
    _, shape, dtype, is_fortran, data = (
        _part(record.states[0], i) for i in range(5)
    )
    return _of_bytes(data, dtype, shape, "F" if is_fortran else "C")


def _numpy_buffer(record):
    """`_frombuffer(data, dtype, shape, order)`, of protocol 5."""
    return _of_bytes(*(_part(record.arguments, i) for i in range(4)))


def _numpy_scalar(record):
    dtype, data = (_part(record.arguments, i) for i in range(2))
    return _of_bytes(data, dtype, (), "C")


def _of_bytes(data, dtype, shape, order):
    dtype, data = _dtype(dtype), _as_bytes(data)
    if dtype is None or data is None or not isinstance(shape, tuple):
        return None
    sizes = shape[::-1] if order == "F" else shape
    steps = np.cumprod([1, *sizes[:0:-1]], dtype=object)[::-1]
    strides = tuple(map(int, steps)) if shape else ()
    strides = strides[::-1] if order == "F" else strides
    values = np.frombuffer(data, "uint8")
    values = values[: len(values) // dtype.itemsize * dtype.itemsize]
    storage = Storage(
        "array",
        dtype.newbyteorder("="),
        len(values) // dtype.itemsize,
        lambda _: values.copy(),
        ">" if dtype.byteorder == ">" else "<",
    )
    return Tensor(storage, 0, shape, strides)


def _dtype(record):
    """A NumPy dtype of numbers from its record, or `None`."""
    name = record.arguments[:1] if isinstance(record, Record) else ()
    if record is None or not name or not isinstance(name[0], str):
        return None
    if record.name != "numpy.dtype" or not _NUMPY_DTYPE.fullmatch(name[0]):
        return None
    try:
        dtype = np.dtype(name[0])
    except TypeError:
        return None
    state = record.states[0] if record.states else ()
    order = state[1] if isinstance(state, tuple) and len(state) > 1 else "="
    return dtype.newbyteorder(">") if order == ">" else dtype


def _as_bytes(data):
    # Protocol 2 has no bytes: they are characters of latin-1.
    if isinstance(data, Record) and data.name == "_codecs.encode":
        data = _part(data.arguments, 0)
    elif isinstance(data, Record) and data.name == "builtins.bytes":
        data = data.arguments[0] if data.arguments else b""
    if isinstance(data, str):
        data = data.encode("latin-1")
    return data if isinstance(data, (bytes, bytearray)) else None


# What a tensor is the first argument of.
_WRAPPERS = {
    "torch._utils._rebuild_parameter",
    "torch._utils._rebuild_parameter_with_state",
    "torch._utils._rebuild_device_tensor_from_numpy",
    "torch._utils._rebuild_device_tensor_from_cpu_tensor",
}
_BUILDERS = {
    "torch._utils._rebuild_tensor": _torch_tensor,
    "torch._utils._rebuild_tensor_v2": _torch_tensor,
    "torch._utils._rebuild_tensor_v3": _torch_tensor,
    "torch._tensor._rebuild_from_type_v2": _torch_subclass,
    **{
        f"numpy.{core}.{name}": build
        for core in ("core", "_core")
        for name, build in (
            ("multiarray._reconstruct", _numpy_array),
            ("multiarray.scalar", _numpy_scalar),
            ("numeric._frombuffer", _numpy_buffer),
        )
    },
}
