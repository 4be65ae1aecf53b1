"""Layers that were quantized after they were made, in configurations.

Keras keeps the precision of a layer in that layer's own configuration, which
is not part of a model's that makes its layers itself.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import keras

Parts = Mapping[str, keras.layers.Layer]


def _with_names(parts: Parts) -> Iterator[tuple[str, Any]]:
    """Parts by their names, and all layers inside by theirs after those."""
    for name, part in parts.items():
        yield name, part
        inner: dict[str, Any] = {}
        for value in list(vars(part).values()):
            if isinstance(value, dict):
                value = list(value.values())
            for layer in value if isinstance(value, list | tuple) else [value]:
                if isinstance(layer, keras.layers.Layer):
                    inner[f"{name}/{layer.name}"] = layer
        yield from _with_names(inner)


def quantized_layers(parts: Parts) -> dict[str, Any]:
    """What a configuration needs: modes, such as "int8", by layers' names."""
    modes = {
        name: getattr(layer, "quantization_mode", None)
        for name, layer in _with_names(parts)
    }
    modes = {name: mode for name, mode in modes.items() if mode}
    return {"quantized": modes} if modes else {}


def without_quantized(config: Mapping[str, Any]) -> tuple[dict, dict]:
    """A configuration without those modes, and the modes."""
    config = dict(config)
    modes = config.pop("quantized", {})
    return config, modes


def quantize_layers(parts: Parts, modes: Mapping[str, str]) -> None:
    """Quantizes layers again, for weights that are loaded afterwards.

    Raises:
        ValueError: if there is no layer of one of the names.
    """
    layers = dict(_with_names(parts))
    for name, mode in modes.items():
        if name not in layers:
            raise ValueError(
                f"`quantized` must have names of layers. Received: {name!r}"
            )
        layers[name].quantize(mode)
