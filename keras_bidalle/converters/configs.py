"""Reads the configurations that published checkpoints come with."""

import itertools
import json
import os
import pathlib
from typing import Any

import yaml

from keras_bidalle.converters.expansion import check_expansion
from keras_bidalle.messages import one_line, shown

# PyYAML takes seconds for this many characters, where they nest deep.
_MAX_YAML, _MAX_JSON = 1 << 16, 1 << 20


def read_config(path: str | os.PathLike[str]) -> Any:
    """Reads the model's section of a published configuration.

    Args:
        path: str or `pathlib.Path` of a YAML or JSON file. Of a file of the
            form `model: {target: ..., params: {...}}` (or Lightning's
            `class_path` and `init_args`) the parameters are returned with
            `target` among them; of any other, all of it.

    Returns:
        Dict.

    Raises:
        ValueError: when the file is neither, or not a dict.
        FileNotFoundError: when there is no such file.
    """
    path = pathlib.Path(path)
    if not os.path.isfile(path):
        raise FileNotFoundError(
            one_line(f"There is no configuration file `{path}`.")
        )
    try:
        # JSON with tabs is not YAML.
        is_json = path.suffix.lower() == ".json"
        size, most = path.stat().st_size, _MAX_JSON if is_json else _MAX_YAML
        if size > most:
            raise ValueError(
                f"it must have at most {most:,} bytes. Received: {size:,}"
            )
        text = path.read_text(encoding="utf-8")
        config = json.loads(text) if is_json else _read_yaml(text)
        if not isinstance(config, dict):
            raise ValueError(
                "it must hold names and values. Received: "
                f"{type(config).__name__}"
            )
    # A date that is none, a key that cannot be one: YAML raises many kinds.
    except Exception as error:
        raise ValueError(
            one_line(
                f"`{path.name}` is not a configuration that can be read: "
                f"{error or type(error).__name__}"
            )
        ) from error
    return model_section(config)


def _read_yaml(text):
    """The value of a YAML document, whose aliases are bounded."""
    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        # Before values are made: merging copies what is merged.
        check_expansion(node, _parts_of_node)
        return None if node is None else loader.construct_document(node)
    finally:
        loader.dispose()


def _parts_of_node(node):
    if isinstance(node, yaml.MappingNode):
        return itertools.chain.from_iterable(node.value)
    return node.value if isinstance(node, yaml.SequenceNode) else ()


def model_section(config):
    """The parameters of a configuration's model, flat."""
    model = config.get("model")
    for target, params in (("target", "params"), ("class_path", "init_args")):
        if isinstance(model, dict) and isinstance(model.get(params), dict):
            return {"target": model.get(target, ""), **model[params]}
    return config


def arch_section(config):
    """What says, in a configuration of RQ's program, what the model is."""
    arch = config.get("arch")
    return arch if isinstance(arch, dict) else config


def required(config, name, where="The configuration"):
    """Returns `config[name]`, or raises a `ValueError` that names it."""
    if name not in config:
        raise ValueError(f"{where} has no `{name}`.")
    return config[name]


def one_of(known, name, value):
    """Returns what a dict of known values has for one of them."""
    if value not in known:
        raise ValueError(
            f"`{name}` must be one of {list(known)}. Received: {shown(value)}"
        )
    return known[value]
