"""What a preset's configuration may name: classes of Keras and of ours.

A preset comes from anywhere. Nothing in it may run code of its own: no
lambdas, no other modules, no functions by name.
"""

from typing import Any

import keras

# Values, which Keras writes in the form of objects.
VALUES = {"__numpy__", "__tensor__", "__ellipsis__", "__slice__"}


def check_config(config: Any, preset: Any) -> None:
    """Raises unless every object in a configuration is known and harmless.

    Args:
        config: dict, what `keras.saving.serialize_keras_object` gave.
        preset: str or `pathlib.Path`, named in errors.

    Raises:
        ValueError: if the configuration is not that of one of our classes, or
            names a class that may not or cannot be made.
    """
    if not isinstance(config, dict) or "class_name" not in config:
        raise ValueError(
            f"Preset '{preset}' is damaged: its `config.json` is not the "
            "configuration of a model."
        )
    _check(config, preset)
    registered = config.get("registered_name") or ""
    if not registered.startswith("keras_bidalle>"):
        raise ValueError(
            f"Preset '{preset}' is not one of keras_bidalle: its model is "
            f"`{registered or config['class_name']}`."
        )


def _check(node, preset):
    if isinstance(node, list):
        for item in node:
            _check(item, preset)
    if not isinstance(node, dict):
        return
    if "class_name" in node and "config" in node:
        _check_object(node, preset)
    for value in node.values():
        _check(value, preset)


def _check_object(node, preset):
    name = node["class_name"]
    registered = node.get("registered_name") or name
    module = node.get("module") or ""
    if registered.startswith("keras_bidalle>"):
        if keras.saving.get_registered_object(registered) is None:
            raise ValueError(
                f"Preset '{preset}' needs the class `{registered}`, which this "
                "version of keras_bidalle does not have. A newer version may."
            )
        return
    built_in = module == "keras" or module.startswith("keras.")
    if name in VALUES or (built_in and name not in ("Lambda", "__lambda__")):
        return
    raise ValueError(
        f"Preset '{preset}' names `{module}.{name}`. A preset may only name "
        "classes of Keras, without lambdas, and of keras_bidalle."
    )
