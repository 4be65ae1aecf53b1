"""Reads the configurations that published checkpoints come with."""

import json
import os
import pathlib
from typing import Any

import yaml


def read_config(path: str | os.PathLike[str]) -> Any:
    """Reads the model's section of a published configuration.

    Args:
        path: str or `pathlib.Path` of a YAML or JSON file. Of a file of the
            form `model: {target: ..., params: {...}}` the parameters are
            returned with `target` among them; of any other, all of it.

    Returns:
        Dict.

    Raises:
        ValueError: when the file is neither, or not a dict.
        FileNotFoundError: when there is no such file.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"There is not a configuration file `{path}`.")
    try:
        text = path.read_text(encoding="utf-8")
        # JSON with tabs is not YAML.
        is_json = path.suffix.lower() == ".json"
        config = json.loads(text) if is_json else yaml.safe_load(text)
    except (ValueError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(
            f"`{path}` is not a configuration that can be read: {reason}"
        ) from error
    if not isinstance(config, dict):
        raise ValueError(
            f"`{path}` is not a configuration: it must hold names and "
            f"values. Received: {type(config).__name__}"
        )
    return model_section(config)


def model_section(config):
    """Returns the parameters of a configuration's model, flat.

    Args:
        config: dict, as `read_config` reads it or as a file holds it.
    """
    model = config.get("model")
    if isinstance(model, dict) and isinstance(model.get("params"), dict):
        return {"target": model.get("target", ""), **model["params"]}
    return config


def required(config, name, where="The configuration"):
    """Returns `config[name]`, or raises a `ValueError` that names it.

    Args:
        config: dict.
        name: str.
        where: str, what `config` is, to begin the message.
    """
    if name not in config:
        raise ValueError(f"{where} has no `{name}`.")
    return config[name]
