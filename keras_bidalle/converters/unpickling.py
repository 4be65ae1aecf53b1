"""Reads the pickles inside torch checkpoints without running anything.

A pickle is a program: it may call any function that can be imported. Here
every name that it asks for is looked up in a table of our own. Tensors are
rebuilt as NumPy arrays, by our functions; objects of the training programs
(callbacks, options, optimizers) become inert placeholders; any other name is
an error before anything is called. Neither torch nor those programs need to
be installed.
"""

import collections
import dataclasses
import pickle
from typing import Any

import numpy as np


class CheckpointError(ValueError):
    """A checkpoint that is damaged, foreign or refused, in one line."""


# torch's storage classes and what their bytes are.
STORAGE_DTYPES = {
    "DoubleStorage": "f8",
    "FloatStorage": "f4",
    "HalfStorage": "f2",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "i8",
    "IntStorage": "i4",
    "ShortStorage": "i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
}

# Packages whose objects published checkpoints carry beside the weights.
# What they name is never imported: it becomes a `Placeholder`.
_INERT_PACKAGES = (
    "argparse",
    "lightning",
    "lightning_fabric",
    "lightning_utilities",
    "numpy",
    "omegaconf",
    "pathlib",
    "pytorch_lightning",
    "torch.optim",
    "typing",
    "yaml",
)
_INERT_NAMES = (
    {
        ("builtins", name)
        for name in (
            "bool",
            "dict",
            "float",
            "int",
            "list",
            "set",
            "str",
            "tuple",
        )
    }
    | {
        ("torch", name)
        for name in (
            *("device", "dtype", "Size", "bool", "uint8", "int8", "int16"),
            *("int32", "int64", "float16", "bfloat16", "float32", "float64"),
        )
    }
    | {
        ("_codecs", "encode"),  # Bytes of a NumPy scalar.
    }
)


class Placeholder:
    """Stands for an object that is not needed; it keeps nothing."""

    def __new__(cls, *args, **kwargs):
        return super().__new__(cls)

    def __init__(self, *args, **kwargs):
        pass

    def __setstate__(self, state):
        pass

    def __setitem__(self, key, value):
        pass

    def append(self, item):
        pass

    def extend(self, items):
        pass

    def add(self, item):
        pass


class Storage:
    """A one-dimensional run of numbers somewhere in the file.

    Args:
        dtype: str, a value of `STORAGE_DTYPES`.
        size: int, how many numbers.
        read: callable without arguments to their bytes.
        byte_order: `"<"` or `">"`.
    """

    def __init__(self, dtype, size, read, byte_order="<"):
        self.dtype = dtype
        self.size = size
        self._read = read
        self._byte_order = byte_order
        self._values = None

    def __setstate__(self, state):
        raise CheckpointError("it changes a storage")

    @property
    def values(self):
        if self._values is None:
            bfloat16 = self.dtype == "bfloat16"
            dtype = np.dtype("u2" if bfloat16 else self.dtype)
            data = self._read()
            if len(data) != self.size * dtype.itemsize:
                raise CheckpointError(
                    f"a tensor has {len(data)} bytes where "
                    f"{self.size * dtype.itemsize} are due"
                )
            values = np.frombuffer(data, dtype.newbyteorder(self._byte_order))
            values = values.astype(dtype, copy=False)
            if bfloat16:
                # The upper half of a float32.
                values = (values.astype("u4") << 16).view("f4")
            self._values = values
        return self._values


@dataclasses.dataclass
class Tensor:
    """A tensor that is read when `numpy` is called."""

    storage: Any
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def __setstate__(self, state):
        raise CheckpointError("it changes a tensor")

    def numpy(self):
        """Returns the tensor as an array of its own."""
        values = self.storage.values[self.offset :]
        strides = [stride * values.itemsize for stride in self.strides]
        view = np.lib.stride_tricks.as_strided(
            values, self.shape, strides, writeable=False
        )
        return np.array(view)


def _rebuild_tensor(storage, offset, shape, strides, *ignored):
    if not isinstance(storage, Storage):
        raise CheckpointError("a tensor has no storage")
    numbers = [offset, *shape, *strides]
    if len(shape) != len(strides) or any(
        not isinstance(number, int) or number < 0 for number in numbers
    ):
        raise CheckpointError("a tensor has an impossible shape")
    last = offset + sum(
        (size - 1) * stride for size, stride in zip(shape, strides, strict=True)
    )
    if 0 not in shape and last >= storage.size:
        raise CheckpointError("a tensor reaches beyond its storage")
    return Tensor(storage, offset, tuple(shape), tuple(strides))


def _rebuild_parameter(data, *ignored):
    return data


def _allowed_functions():
    # Made anew for each file: nothing that a pickle does to them lasts.
    def rebuild_tensor(*args):
        return _rebuild_tensor(*args)

    def rebuild_parameter(*args):
        return _rebuild_parameter(*args)

    return {
        ("collections", "OrderedDict"): collections.OrderedDict,
        ("torch._utils", "_rebuild_tensor"): rebuild_tensor,
        ("torch._utils", "_rebuild_tensor_v2"): rebuild_tensor,
        ("torch._utils", "_rebuild_parameter"): rebuild_parameter,
    }


class TensorUnpickler(pickle.Unpickler):
    """An unpickler that knows tensors, containers and placeholders only.

    Args:
        file: binary file with a pickle.
        make_storage: callable (key, dtype, size) to a `Storage`.
    """

    def __init__(self, file, make_storage):
        super().__init__(file, encoding="utf-8")
        self._make_storage = make_storage
        self._table = _allowed_functions()

    def find_class(self, module, name):
        # torch writes protocol 2, which has Python 2's name for it.
        module = "builtins" if module == "__builtin__" else module
        known = (module, name)
        if known not in self._table:
            self._table[known] = self.stand_in(module, name)
        return self._table[known]

    def stand_in(self, module, name):
        """What a name that rebuilds no tensor becomes, or an error."""
        if (module, name) in _INERT_NAMES or any(
            module == package or module.startswith(package + ".")
            for package in _INERT_PACKAGES
        ):
            return self.placeholder()
        return self.storage_class(module, name) or self.refuse(module, name)

    def placeholder(self):
        """A class of objects that keep nothing, for this file alone."""
        return type("Placeholder", (Placeholder,), {})

    def storage_class(self, module, name):
        """What names the dtype of a storage, or `None` for another name."""
        if module in ("torch", "torch.storage") and name in STORAGE_DTYPES:
            return type(name, (Placeholder,), {"dtype": STORAGE_DTYPES[name]})
        return None

    def refuse(self, module, name):
        raise CheckpointError(
            f"it names `{module}.{name}`, which weights do not need; a "
            "pickle can run code, so it was refused and nothing of it ran"
        )

    def persistent_load(self, identifier):
        kind, storage_type, key, _, size = identifier[:5]
        dtype = getattr(storage_type, "dtype", None)
        if kind != "storage" or dtype is None or not isinstance(size, int):
            raise CheckpointError("it refers to what is not a storage")
        return self._make_storage(str(key), dtype, size)
