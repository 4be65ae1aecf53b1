"""Writes torch's files by hand, honest and malicious ones, without torch."""

import pickle
import struct
import zipfile


class Global:
    """Pickles as a call of a function by name, which needs no import."""

    def __init__(self, module, name, *args):
        self.module, self.name, self.args = module, name, args


class Key:
    """Pickles as a reference to a storage."""

    def __init__(self, kind, key, size):
        self.kind, self.key, self.size = kind, key, size


class Name:
    """Pickles as what a name stands for, uncalled."""

    def __init__(self, module, name):
        self.module, self.name = module, name


class Sourced(Name):
    """Pickles as a class beside its source, as before torch 1.6."""


class Call:
    """Pickles as the call of a node."""

    def __init__(self, function, *args):
        self.function, self.args = function, args


class Object:
    """Pickles as an object of a class, with states, as modules do.

    Args:
        name: `Name`, the class.
        *states: what the object is given.
        args: tuple, what `__new__` is given.
    """

    def __init__(self, name, *states, args=()):
        self.name, self.states, self.args = name, states, args


class Ordered(dict):
    """Pickles as an `OrderedDict`, which the state of a module is."""


class Changed:
    """Pickles as another node that is then given a state."""

    def __init__(self, node, state):
        self.node, self.state = node, state


def to_pickle(node):
    """Writes the opcodes of protocol 2 for what the tests need."""
    return b"\x80\x02" + _opcodes(node) + pickle.STOP


def _opcodes(node):
    if isinstance(node, Global):
        name = f"{node.module}\n{node.name}\n".encode()
        return pickle.GLOBAL + name + _tuple(node.args) + pickle.REDUCE
    if isinstance(node, Sourced):
        parts = ["module", Name(node.module, node.name), "x.py", "1 / 0"]
        return _tuple(parts) + pickle.BINPERSID
    if isinstance(node, Name):
        # Protocol 4's way, which may follow dots.
        parts = _opcodes(node.module) + _opcodes(node.name)
        return parts + pickle.STACK_GLOBAL
    if isinstance(node, Call):
        return _opcodes(node.function) + _tuple(node.args) + pickle.REDUCE
    if isinstance(node, Object):
        made = _opcodes(node.name) + _tuple(node.args) + pickle.NEWOBJ
        states = (_opcodes(state) + pickle.BUILD for state in node.states)
        return made + b"".join(states)
    if isinstance(node, Changed):
        return _opcodes(node.node) + _opcodes(node.state) + pickle.BUILD
    if isinstance(node, Key):
        storage = pickle.GLOBAL + f"torch\n{node.kind}\n".encode()
        items = [
            _opcodes("storage"),
            storage,
            *(_opcodes(item) for item in (node.key, "cpu", node.size)),
        ]
        return pickle.MARK + b"".join(items) + pickle.TUPLE + pickle.BINPERSID
    if isinstance(node, tuple):
        return _tuple(node)
    if isinstance(node, dict):
        items = b"".join(
            _opcodes(key) + _opcodes(value) for key, value in node.items()
        )
        empty = pickle.EMPTY_DICT
        if isinstance(node, Ordered):
            empty = _opcodes(Global("collections", "OrderedDict"))
        return empty + pickle.MARK + items + pickle.SETITEMS
    return pickle.dumps(node, protocol=2)[2:-1]


def _tuple(items):
    return pickle.MARK + b"".join(map(_opcodes, items)) + pickle.TUPLE


def tensor(kind, key, storage_size, offset, shape, strides):
    return Global(
        "torch._utils",
        "_rebuild_tensor_v2",
        Key(kind, key, storage_size),
        offset,
        shape,
        strides,
        False,
        Global("collections", "OrderedDict"),
    )


def write_archive(path, content, storages, **extra):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", to_pickle(content))
        for key, data in storages.items():
            archive.writestr(f"archive/data/{key}", data)
        for name, data in extra.items():
            archive.writestr(f"archive/{name}", data)


def write_legacy(path, content, storages):
    with open(path, "wb") as file:
        pickle.dump(0x1950A86A20F9469CFC6C, file, protocol=2)
        pickle.dump(1001, file, protocol=2)
        pickle.dump({"little_endian": True}, file, protocol=2)
        file.write(to_pickle(content))
        pickle.dump(list(storages), file, protocol=2)
        for count, data in storages.values():
            file.write(struct.pack("<q", count) + data)
