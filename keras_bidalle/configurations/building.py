"""From a class and its arguments to a model, and to JSON and back.

In Python something to be made is `(class, arguments)`; in JSON it is
`{"class": "RQVAE", "arguments": {...}}`. Both may be nested.
"""

import json
import pathlib

from keras_bidalle import generators, image_tokenizers, quantizers

_MODULES = (image_tokenizers, quantizers, generators)
_JSON_KEYS = {"class", "arguments"}


def build(cls, arguments):
    """Makes a model, and first what its arguments say is to be made.

    Args:
        cls: class, such as one of `keras_bidalle.image_tokenizers`.
        arguments: dict of its constructor's arguments, in which
            `(class, arguments)` stands for an object to be made.

    Returns:
        An instance of `cls`.

    Raises:
        ValueError: if the constructor does not take the arguments.
    """
    if hasattr(cls, "current_arguments"):
        arguments = cls.current_arguments(arguments)
    made = {name: _built(value) for name, value in arguments.items()}
    try:
        return cls(**made)
    except TypeError as error:
        raise ValueError(
            f"{cls.__name__} cannot be made of these arguments: {error}"
        ) from error


def _built(value):
    if is_nested(value):
        return build(*value)
    if isinstance(value, tuple):
        return tuple(_built(part) for part in value)
    return value


def is_nested(value):
    """Whether an argument is `(class, arguments)`."""
    return (
        isinstance(value, tuple)
        and len(value) == 2
        and isinstance(value[0], type)
    )


def as_json(cls, arguments):
    """A configuration in JSON's values.

    Args:
        cls: class.
        arguments: dict.

    Returns:
        dict `{"class": name, "arguments": {...}}`.
    """
    values = {name: _as_json(value) for name, value in arguments.items()}
    return {"class": cls.__name__, "arguments": values}


def _as_json(value):
    if is_nested(value):
        return as_json(*value)
    if isinstance(value, (tuple, list)):
        return [_as_json(part) for part in value]
    return value


def from_json(value):
    """A configuration out of JSON's values, the inverse of `as_json`.

    Args:
        value: dict `{"class": name, "arguments": {...}}`; other keys are
            left to others. Lists become tuples.

    Returns:
        Tuple of a class and a dict.

    Raises:
        ValueError: if it is of another form, or names a class that this
            package does not have.
    """
    if not isinstance(value, dict) or not _JSON_KEYS <= set(value):
        raise ValueError(
            'A configuration must be {"class": name, "arguments": {...}}. '
            f"Received: {json.dumps(value)[:80]}"
        )
    known = {
        name: getattr(module, name)
        for module in _MODULES
        for name in module.__all__
        if isinstance(getattr(module, name), type)
    }
    if value["class"] not in known:
        raise ValueError(
            f'"class" must be one of {", ".join(sorted(known))}. '
            f"Received: {value['class']!r}"
        )
    if not isinstance(value["arguments"], dict):
        raise ValueError(
            f'"arguments" must be an object. Received: {value["arguments"]!r}'
        )
    arguments = {
        name: _from_json_value(part)
        for name, part in value["arguments"].items()
    }
    return known[value["class"]], arguments


def _from_json_value(value):
    if isinstance(value, dict) and "class" in value:
        return from_json(value)
    if isinstance(value, list):
        return tuple(_from_json_value(part) for part in value)
    return value


def read_configuration(path):
    """Reads a configuration file.

    Args:
        path: str or `pathlib.Path` of a JSON file, `{"class": ...,
            "arguments": {...}, "training": {...}}`, of which "training" may
            be left out.

    Returns:
        Tuple of a class, a dict of its arguments, and a dict of training
        settings.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is damaged or of another form; the message names
            it.
    """
    path = pathlib.Path(path)
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
        cls, arguments = from_json(value)
        training = value.get("training", {})
        if not isinstance(training, dict):
            raise ValueError(
                f'"training" must be an object. Received: {training!r}'
            )
    except ValueError as error:
        raise ValueError(f"{path} is no configuration: {error}") from error
    return cls, arguments, training
