"""Constructors' arguments: kept under their own names, and routed to parts."""

import contextlib
import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar

import keras

from keras_bidalle.quantized_layers import (
    quantize_layers,
    quantized_layers,
    quick_collections,
    without_quantized,
)
from keras_bidalle.renaming import renamed


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

    Arguments that a class hands to its bases are among them, but for those
    that every Keras object has; objects are in their serialized form.

    ```python
    def get_config(self):
        return {**super().get_config(), **kept_arguments(self)}
    ```
    """
    kept_as = dict.fromkeys(("name", "trainable", "dtype"))
    kept_as |= getattr(instance, "kept_as", {})
    places = {
        name: kept_as.get(name, name)
        for name in accepted_arguments(type(instance))
    }
    return {
        name: _plain(getattr(instance, place))
        for name, place in places.items()
        if place
    }


def _plain(value):
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if value is None or isinstance(value, bool | int | float | str | dict):
        return value
    return keras.saving.serialize_keras_object(value)


class Configured:
    """Mixed in before a Keras class: a configuration of what it was made of.

    Each argument is kept under its own name; `kept_as` has those that are
    not, with the attribute's name, or `None` for what follows from others.
    Names that arguments once had are in `old_names`, with those of today:
    constructors and saved configurations may have either.
    """

    kept_as: ClassVar[Mapping[str, str | None]] = {}
    old_names: ClassVar[Mapping[str, str]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if cls.old_names and "__init__" in vars(cls):
            init = cls.__init__

            @functools.wraps(init)
            def current(self: Any, *args: Any, **kwargs: Any) -> None:
                init(self, *args, **renamed(kwargs, type(self).old_names))

            # Keras reads it without following what is wrapped.
            current.__signature__ = inspect.signature(  # type: ignore
                init
            )
            cls.__init__ = current  # type: ignore[method-assign]

    def get_config(self) -> dict[str, Any]:
        config = {**super().get_config(), **kept_arguments(self)}  # type: ignore
        if isinstance(self, keras.Model):
            config.update(quantized_layers(self))
        return config

    def quantize(self, *args: Any, **kwargs: Any) -> None:
        """As Keras' own; that of a model in a fraction of its time."""
        is_model = isinstance(self, keras.Model)
        with quick_collections() if is_model else contextlib.nullcontext():
            super().quantize(*args, **kwargs)  # type: ignore[misc]

    @classmethod
    def current_arguments(cls, config: Mapping[str, Any]) -> dict[str, Any]:
        """A configuration of this or an earlier version, as one of today."""
        return renamed(config, cls.old_names)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Any:
        config, modes = without_quantized(config)
        instance = cls(**_revived(cls.current_arguments(config)))
        quantize_layers(instance, modes)
        return instance


def _revived(value):
    """A configuration in which no object is in its serialized form."""
    if isinstance(value, list | tuple):
        return [_revived(part) for part in value]
    if not isinstance(value, dict):
        return value
    if {"class_name", "config"} <= set(value):
        return keras.saving.deserialize_keras_object(value)
    return {name: _revived(part) for name, part in value.items()}


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
    """Raises a `ValueError` unless parts agree in the attribute they share."""
    for name, parts in shared.items():
        found = {type(part).__name__: getattr(part, name) for part in parts}
        if len(set(found.values())) > 1:
            raise ValueError(
                f"The parts must have the same `{name}`. Received: {found}"
            )


def accepted_arguments(cls: type) -> list[str]:
    """All names that a class takes, those that it hands to bases included."""
    names: dict[str, None] = {}
    for part in cls.__mro__:
        if not part.__module__.startswith("keras_bidalle."):
            continue
        if "__init__" in vars(part) or "__signature__" in vars(part):
            parameters = _parameters(part)
            names |= dict.fromkeys(argument_names(part))
            kinds = {parameter.kind for parameter in parameters.values()}
            if inspect.Parameter.VAR_KEYWORD not in kinds:
                break
    return list(names)
