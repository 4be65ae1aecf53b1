"""What a preset's configuration may name: classes of Keras and of ours.

A preset comes from anywhere. Nothing in it may run code of its own: no
lambdas, no other modules, no functions by name.
"""

from typing import Any

import keras

from keras_bidalle.messages import shown

# Values, which Keras writes in the form of objects.
VALUES = {"__numpy__", "__tensor__", "__ellipsis__", "__slice__"}


def check_config(config: Any) -> None:
    """Raises unless every object in a configuration is known and harmless.

    Args:
        config: dict, what `keras.saving.serialize_keras_object` gave.

    Raises:
        ValueError: if the configuration is not that of one of our classes, or
            names a class that may not or cannot be made.
    """
    if (
        not isinstance(config, dict)
        or not isinstance(config.get("config"), dict)
        or not _registered_name(config)
    ):
        raise ValueError("`config.json` is not the configuration of a model")
    _check(config)
    made = keras.saving.get_registered_object(_registered_name(config))
    if not isinstance(made, type) or not issubclass(made, keras.Model):
        raise ValueError(
            "it is not one of keras_bidalle: its model is "
            f"{shown(_registered_name(config))}"
        )


def _registered_name(node):
    name = node.get("registered_name") or node.get("class_name")
    return name if isinstance(name, str) else ""


def _check(node):
    if isinstance(node, list):
        for item in node:
            _check(item)
    if not isinstance(node, dict):
        return
    if "class_name" in node and "config" in node:
        _check_object(node)
    for value in node.values():
        _check(value)


def _check_object(node):
    name, module = node["class_name"], node.get("module") or ""
    registered = _registered_name(node)
    if registered.startswith("keras_bidalle>"):
        if keras.saving.get_registered_object(registered) is None:
            raise ValueError(
                f"it needs the class {shown(registered)}, which this version "
                "of keras_bidalle does not have. A newer version may"
            )
        return
    built_in = str(module) == "keras" or str(module).startswith("keras.")
    harmless = built_in and name not in ("Lambda", "__lambda__")
    if not isinstance(name, str) or not (name in VALUES or harmless):
        raise ValueError(
            f"it names {shown(f'{module}.{name}')}. A preset may only name "
            "classes of Keras, without lambdas, and of keras_bidalle"
        )
