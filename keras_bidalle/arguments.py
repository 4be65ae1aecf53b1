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
    if "__signature__" in vars(function):
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


def check_shared(**shared: Iterable[Any]) -> None:
    """Raises a `ValueError` unless parts agree in what they share.

    Args:
        **shared: by attribute, the parts that have it.
    """
    for name, parts in shared.items():
        found = {type(part).__name__: getattr(part, name) for part in parts}
        if len(set(found.values())) > 1:
            raise ValueError(
                f"The parts must have the same `{name}`. Received: {found}"
            )


def accepted_arguments(cls: type) -> set[str]:
    """All names that a class takes, those that it hands to bases included."""
    names: set[str] = set()
    for part in cls.__mro__:
        if not part.__module__.startswith("keras_bidalle."):
            continue
        if "__init__" in vars(part) or "__signature__" in vars(part):
            parameters = _parameters(part)
            names |= set(argument_names(part))
            kinds = {parameter.kind for parameter in parameters.values()}
            if inspect.Parameter.VAR_KEYWORD not in kinds:
                break
    return names
