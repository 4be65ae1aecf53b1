"""Compiled programs of one function: few, and none of layers as they were."""

import collections
import threading
import types
from collections.abc import Callable, Iterable
from typing import Any

import keras
import numpy as np

from keras_bidalle.backend.forks import check_not_forked

# Each holds its machine code and constants: 10 to 100 MB of a large model.
MOST_PROGRAMS = 32

_PLAIN = (bool, int, float, str, type(None), types.FunctionType)


class Programs:
    """Calls a function, compiled once for each kind of arguments.

    The programs of the kinds that were used last are kept, and all are
    dropped when what the layers compute has changed.

    Args:
        make: function that gives the function, to be compiled by its first
            call.
        layers: list of `keras.layers.Layer`, which it reads.
    """

    def __init__(self, make: Callable[[], Callable], layers: list):
        self._make = make
        self._layers = layers
        self._computed: list = []
        self._programs: collections.OrderedDict = collections.OrderedDict()
        self._lock = threading.Lock()

    def __call__(self, *arguments: Any) -> Any:
        check_not_forked()
        computed, kind = what_is_computed(self._layers), _kind(arguments)
        with self._lock:
            if not _same(computed, self._computed):
                self._programs.clear()
                self._computed = computed
            if kind not in self._programs:
                self._programs[kind] = _Program(self._make())
            program = self._programs[kind]
            self._programs.move_to_end(kind)
            while len(self._programs) > MOST_PROGRAMS:
                self._programs.popitem(last=False)
        return program(*arguments)


class _Program:
    """A function that is compiled by its first call, in one thread alone."""

    def __init__(self, function):
        self._function = function
        self._lock = threading.Lock()
        self._compiled = False

    def __call__(self, *arguments):
        if self._compiled:
            return self._function(*arguments)
        # Threads that come with what is new at once would each compile it.
        with self._lock:
            result = self._function(*arguments)
            self._compiled = True
        return result


def what_is_computed(layers: Iterable[keras.layers.Layer]) -> list:
    """What layers compute, as far as it is not in their weights' values.

    A list to be compared with one of another time. It holds layers, weights
    and functions themselves, so that no other can come to have their ids.
    """
    found, known, waiting = [], set(), list(layers)
    while waiting:
        layer = waiting.pop()
        if id(layer) in known:
            continue
        known.add(id(layer))
        found += [layer, layer.compute_dtype, layer.variable_dtype]
        is_model = isinstance(layer, keras.Model)
        for name, value in list(vars(layer).items()):
            # Of a model they are of how it is trained.
            if isinstance(value, _PLAIN) and not is_model:
                if not name.startswith("_"):
                    found += [name, value]
                continue
            if isinstance(value, dict):
                value = list(value.values())
            parts = value if isinstance(value, list | tuple) else [value]
            for part in parts:
                if isinstance(part, keras.layers.Layer):
                    waiting.append(part)
                elif isinstance(part, keras.Variable):
                    found += [part, part.trainable]
    return found


def _same(some, others):
    return len(some) == len(others) and all(
        a is b or (isinstance(a, _PLAIN) and type(a) is type(b) and a == b)
        for a, b in zip(some, others, strict=True)
    )


def _kind(arguments):
    leaves = keras.tree.flatten(arguments)
    structure = keras.tree.map_structure(lambda _: 0, arguments)
    return repr(structure), *(
        (tuple(np.shape(x)), str(getattr(x, "dtype", type(x)))) for x in leaves
    )
