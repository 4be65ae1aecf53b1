"""Constructors' arguments: kept under their own names, and routed to parts."""

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any


def argument_names(function: Callable) -> list[str]:
    """The names of a class's or function's arguments, without `**kwargs`."""
    kinds = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    return [
        name
        for name, parameter in _parameters(function).items()
        if parameter.kind not in kinds
    ]


def _parameters(function):
    if not isinstance(function, type):
        return inspect.signature(function).parameters
    # Of the constructor, as Keras' classes have a `__new__` as well.
    parameters = dict(inspect.signature(function.__init__).parameters)
    parameters.pop("self", None)
    return parameters


def kept_arguments(instance: Any) -> dict[str, Any]:
    """What an object was made of, where it keeps each argument by its name.

    ```python
    def get_config(self):
        return {**super().get_config(), **kept_arguments(self)}
    ```
    """
    names = argument_names(type(instance))
    return {name: getattr(instance, name) for name in names}


def defaults_of(parts: Iterable[Callable]) -> dict[str, Any]:
    """The arguments of several parts that have defaults, by name.

    Where parts share a name, the default of the first counts.
    """
    found: dict[str, Any] = {}
    for part in parts:
        for name, parameter in _parameters(part).items():
            if parameter.default is not inspect.Parameter.empty:
                found.setdefault(name, parameter.default)
    return found


def arguments_for(part: Callable, values: Mapping[str, Any]) -> dict[str, Any]:
    """Those of `values` that `part` takes by name."""
    names = argument_names(part)
    return {name: values[name] for name in names if name in values}
