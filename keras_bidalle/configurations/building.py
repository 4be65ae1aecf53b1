"""Models as Keras serializes them: a class, and the arguments it is made of.

`{"class_name": "VQGAN", "config": {"quantizer": {"class_name": ...}, ...}}`
in Python and in JSON alike.
"""

import difflib
from collections.abc import Mapping
from typing import Any

import keras

from keras_bidalle import generators, image_tokenizers, quantizers
from keras_bidalle.messages import one_line, shown

PACKAGE = "keras_bidalle"
# What a preset's config.json has beside the arguments of our classes.
_OF_KERAS = ("name", "trainable", "dtype")


def build(cls: Any, arguments: Mapping[str, Any]) -> Any:
    """Makes a model, and the objects that its arguments describe.

    Args:
        cls: class, such as one of `keras_bidalle.image_tokenizers`.
        arguments: dict of its constructor's arguments, with objects as
            `serialized` gives them.

    Raises:
        ValueError: if the constructor does not take the arguments.
    """
    try:
        return cls.from_config(dict(arguments))
    # Of whatever a constructor does with what it does not check.
    except (ArithmeticError, AttributeError, LookupError, TypeError) as error:
        raise ValueError(
            one_line(
                f"{cls.__name__} cannot be made of these arguments: {error}"
            )
        ) from error


def serialized(cls: type, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The form that Keras gives an object of `cls` with these arguments."""
    return {
        "module": PACKAGE,
        "class_name": cls.__name__,
        "config": dict(arguments),
        "registered_name": f"{PACKAGE}>{cls.__name__}",
    }


def is_serialized(value: Any) -> bool:
    """Whether a value stands for an object that is to be made."""
    return isinstance(value, dict) and {"class_name", "config"} <= set(value)


def class_of(value: Mapping[str, Any]) -> type:
    """The class of a serialized object of this package."""
    cls = keras.saving.get_registered_object(value["registered_name"])
    assert cls is not None
    return cls


def from_json(value: Any) -> tuple[type, dict[str, Any]]:
    """Reads a model out of JSON's values.

    Args:
        value: dict `{"class_name": name, "config": {...}}`. Runs of versions
            before 0.2 have "class" and "arguments" instead. Other keys are
            left to others, and so is what a preset's has of Keras.

    Returns:
        Tuple of a class and a dict of arguments, for `build`. Lists become
        tuples.

    Raises:
        ValueError: if it is of another form, or names a class that this
            package does not have.
    """
    found = _serialized_json(value)
    return class_of(found), found["config"]


def _serialized_json(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict) or not (
        {"class_name", "config"} <= set(value)
        or {"class", "arguments"} <= set(value)
    ):
        raise ValueError(
            'A configuration must be {"class_name": name, "config": {...}}. '
            f"Received: {shown(value)}"
        )
    name = value.get("class_name", value.get("class"))
    arguments = value.get("config", value.get("arguments"))
    known = _classes()
    if not isinstance(name, str) or name not in known:
        some = difflib.get_close_matches(str(name)[:100], known, 5, 0.2)
        raise ValueError(
            f'"class_name" must be one of {len(known)} classes, such as '
            f"{', '.join(some or sorted(known)[:5])}. Received: {shown(name)}"
        )
    if not isinstance(arguments, dict):
        raise ValueError(
            f'"config" must be an object. Received: {shown(arguments)}'
        )
    # Arguments that had other names once.
    current = getattr(known[name], "current_arguments", dict)
    found = {
        key: plain(part)
        for key, part in arguments.items()
        if key not in _OF_KERAS
    }
    return serialized(known[name], current(found))


def plain(value: Any) -> Any:
    """A value of JSON as an argument: tuples, and objects serialized."""
    if isinstance(value, dict) and {"class_name", "class"} & set(value):
        return _serialized_json(value)
    if isinstance(value, list):
        return tuple(plain(part) for part in value)
    return value


def _classes() -> dict[str, type]:
    """The classes that a configuration may name."""
    return {
        name: getattr(module, name)
        for module in (image_tokenizers, quantizers, generators)
        for name in module.__all__
        if isinstance(getattr(module, name), type)
    }
