"""Reads pickles as data, without running anything in them.

A pickle is a program for a stack machine that may call any function that can
be imported. This machine imports and calls nothing: what a pickle names or
makes is a `Record` of what it says. It takes memory and time in proportion
to the pickle alone.
"""

import pickletools

# Far more than checkpoints need; each takes at most some hundred bytes.
_MAX_OPERATIONS = 2_000_000
_MAX_BITS = 128

# No checkpoint has a reason to name these. Anything else that is not known
# is kept as a record, which nobody calls.
_CODE_MODULES = {
    *("os", "posix", "nt", "sys", "subprocess", "pty", "shutil", "socket"),
    *("importlib", "runpy", "ctypes", "webbrowser", "code", "pdb", "timeit"),
    *("pickle", "_pickle", "marshal", "operator", "urllib", "http"),
}
_CODE_NAMES = {
    *("builtins.eval", "builtins.exec", "builtins.compile", "builtins.open"),
    *("builtins.__import__", "builtins.breakpoint", "builtins.input"),
    *("torch.load", "torch.serialization.load"),
}
# What makes an object of a class that is its first argument.
_MAKERS = ("copyreg._reconstructor", "copyreg.__newobj__")


class CheckpointError(ValueError):
    """A checkpoint that is damaged, foreign or refused, in one line."""


class Name:
    """A class or function that a pickle names: its full name, no more."""

    __slots__ = ("full",)

    def __init__(self, full):
        self.full = full


class Record:
    """What a pickle says of one object, which is never made.

    Attributes:
        name: str, the full name of its class, or of what is called.
        arguments: tuple that it is made of.
        is_made: bool, whether by the class itself and not by a call.
        states: list of what it is given afterwards.
        items: list, what is appended to it: of a mapping, pairs.
    """

    __slots__ = ("arguments", "is_made", "items", "name", "states")

    def __init__(self, name, arguments=(), is_made=False):
        self.name, self.arguments = name, arguments
        self.is_made = is_made
        self.states, self.items = [], []


def unpickle(file, persistent):
    """Reads one pickle.

    Args:
        file: binary file with `read`, `readline` and `tell`.
        persistent: callable from what a pickle refers to outside itself to
            what stands for it.

    Returns:
        Numbers, str, bytes, lists (also of sets), tuples, dicts with keys
        that are numbers, str or bytes, `Name` and `Record`.

    Raises:
        CheckpointError: when it is damaged or names what runs code.
    """
    machine = _Machine(persistent)
    count = 0
    for operation, argument, _ in pickletools.genops(file):
        count += 1
        if count > _MAX_OPERATIONS:
            raise CheckpointError("its pickle is longer than any checkpoint's")
        machine.run(operation.name, argument)
    return machine.result()


class _Machine:
    def __init__(self, persistent):
        self.persistent = persistent
        self.stack, self.marks, self.memo = [], [], {}

    def result(self):
        if len(self.stack) != 1:
            raise CheckpointError("its pickle ends too early")
        return self.stack[0]

    def run(self, operation, argument):
        if operation in _CONSTANTS:
            self.stack.append(_constant(argument))
            return
        try:
            _OPERATIONS[operation](self, argument)
        except (IndexError, KeyError, TypeError, ValueError) as error:
            if isinstance(error, CheckpointError):
                raise
            raise CheckpointError(
                f"its pickle has {operation} where it cannot be"
            ) from error

    def push(self, value):
        self.stack.append(value)

    def pop(self, count=1):
        if count > len(self.stack) - (self.marks[-1] if self.marks else 0):
            raise IndexError
        values = self.stack[len(self.stack) - count :]
        del self.stack[len(self.stack) - count :]
        return values

    def pop_mark(self):
        start = self.marks.pop()
        values = self.stack[start:]
        del self.stack[start:]
        return values

    def remember(self, key):
        self.memo[key] = self.stack[-1]

    def name(self, module, name):
        # torch writes protocol 2, which has Python 2's name for it.
        module = "builtins" if module == "__builtin__" else module
        full = f"{module}.{name}"
        parts = full.split(".")
        if full in _CODE_NAMES or _CODE_MODULES.intersection(parts[:-1]):
            raise CheckpointError(
                f"it names `{full}`, which weights do not need; a pickle can "
                "run code, so it was refused and nothing of it ran"
            )
        self.push(Name(full))

    def stacked_name(self, _):
        module, name = self.pop(2)
        if not isinstance(module, str) or not isinstance(name, str):
            raise TypeError
        self.name(module, name)

    def call(self, function, arguments, is_made=False):
        name = getattr(function, "full", None) or "the result of another call"
        if name in _MAKERS and arguments and isinstance(arguments[0], Name):
            name, arguments, is_made = arguments[0].full, (), True
        if not isinstance(function, Name | Record):
            raise TypeError
        self.push(Record(name, tuple(arguments), is_made))

    def build(self, _):
        (state,) = self.pop()
        if not isinstance(self.stack[-1], Record):
            kind = type(self.stack[-1]).__name__.lower()
            raise CheckpointError(f"it changes a {kind}")
        self.stack[-1].states.append(state)

    def extend(self, values):
        target = self.stack[-1]
        (target.items if isinstance(target, Record) else target).extend(values)

    def set_items(self, values):
        pairs = list(zip(values[::2], values[1::2], strict=True))
        target = self.stack[-1]
        if isinstance(target, Record):
            target.items.extend(pairs)
        else:
            target.update(_mapping(pairs))

    def make(self, values, is_made=True):
        function, *arguments = values
        self.call(function, arguments, is_made)


def _mapping(pairs):
    """A dict of the pairs whose keys take no time to compare."""
    plain = (str, int, float, bytes, type(None))
    return {key: value for key, value in pairs if isinstance(key, plain)}


def _constant(value):
    if isinstance(value, int) and value.bit_length() > _MAX_BITS:
        return Name("builtins.int")
    return value


_CONSTANTS = {
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4"),
    *("STRING", "BINSTRING", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES"),
    *("BINBYTES8", "BYTEARRAY8", "UNICODE", "SHORT_BINUNICODE", "BINUNICODE"),
    *("BINUNICODE8", "FLOAT", "BINFLOAT"),
}
_OPERATIONS = {
    "PROTO": lambda m, _: None,
    "FRAME": lambda m, _: None,
    "STOP": lambda m, _: None,
    "NONE": lambda m, _: m.push(None),
    "NEWTRUE": lambda m, _: m.push(True),
    "NEWFALSE": lambda m, _: m.push(False),
    "MARK": lambda m, _: m.marks.append(len(m.stack)),
    "POP": lambda m, _: m.pop(),
    "POP_MARK": lambda m, _: m.pop_mark(),
    "DUP": lambda m, _: m.push(m.stack[-1]),
    "PUT": _Machine.remember,
    "BINPUT": _Machine.remember,
    "LONG_BINPUT": _Machine.remember,
    "MEMOIZE": lambda m, _: m.remember(len(m.memo)),
    "GET": lambda m, key: m.push(m.memo[key]),
    "BINGET": lambda m, key: m.push(m.memo[key]),
    "LONG_BINGET": lambda m, key: m.push(m.memo[key]),
    "EMPTY_LIST": lambda m, _: m.push([]),
    "EMPTY_SET": lambda m, _: m.push([]),
    "EMPTY_TUPLE": lambda m, _: m.push(()),
    "EMPTY_DICT": lambda m, _: m.push({}),
    "LIST": lambda m, _: m.push(m.pop_mark()),
    "FROZENSET": lambda m, _: m.push(m.pop_mark()),
    "TUPLE": lambda m, _: m.push(tuple(m.pop_mark())),
    "TUPLE1": lambda m, _: m.push(tuple(m.pop(1))),
    "TUPLE2": lambda m, _: m.push(tuple(m.pop(2))),
    "TUPLE3": lambda m, _: m.push(tuple(m.pop(3))),
    "DICT": lambda m, _: (m.push({}), m.set_items(m.pop_mark())),
    "APPEND": lambda m, _: m.extend(m.pop()),
    "APPENDS": lambda m, _: m.extend(m.pop_mark()),
    "ADDITEMS": lambda m, _: m.extend(m.pop_mark()),
    "SETITEM": lambda m, _: m.set_items(m.pop(2)),
    "SETITEMS": lambda m, _: m.set_items(m.pop_mark()),
    "GLOBAL": lambda m, names: m.name(*names.split(" ", 1)),
    "STACK_GLOBAL": _Machine.stacked_name,
    "REDUCE": lambda m, _: m.call(*m.pop(2)),
    "NEWOBJ": lambda m, _: m.call(*m.pop(2), is_made=True),
    "NEWOBJ_EX": lambda m, _: m.call(*m.pop(3)[:2], is_made=True),
    "OBJ": lambda m, _: m.make(m.pop_mark()),
    "INST": lambda m, names: (
        m.name(*names.split(" ", 1)),
        m.make([*m.pop(), *m.pop_mark()]),
    ),
    "BUILD": _Machine.build,
    "PERSID": lambda m, key: m.push(m.persistent(key)),
    "BINPERSID": lambda m, _: m.push(m.persistent(*m.pop())),
}
