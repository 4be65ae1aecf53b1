"""Layers that were quantized after they were made, in configurations.

Keras keeps the precision of a layer in that layer's own configuration, which
is not part of a model's that makes its layers itself.
"""

import contextlib
import gc
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import keras

from keras_bidalle.messages import shown
from keras_bidalle.validation import check_choice

# What `load` can make of the weights that were saved.
_WEIGHTS = (None, "int8")
# What Keras takes where a mode alone is given.
_USUAL = {
    "int8": keras.quantizers.Int8QuantizationConfig,
    "int4": keras.quantizers.Int4QuantizationConfig,
    "float8": keras.quantizers.Float8QuantizationConfig,
}
_OF_KERAS = {*dir(keras.layers.Layer), *dir(keras.Model)}


def _layers(layer: Any, start: str = "") -> Iterator[tuple[str, Any]]:
    """Layers inside one, by attributes' names; those of inner models are not.

    Names of layers would not do, as those that Keras makes up have numbers.
    """
    for name in sorted(set(dir(layer)) - _OF_KERAS):
        if name.startswith("_"):
            continue
        value = getattr(layer, name, None)
        parts = {name: value}
        if isinstance(value, list | tuple):
            parts = {f"{name}/{i}": part for i, part in enumerate(value)}
        elif isinstance(value, dict):
            parts = {f"{name}/{key}": part for key, part in value.items()}
        for path, part in parts.items():
            if isinstance(part, keras.Model):
                continue
            if isinstance(part, keras.layers.Layer):
                yield start + path, part
                yield from _layers(part, f"{start}{path}/")


def quantized_layers(model: Any) -> dict[str, Any]:
    """What a configuration needs: how layers were quantized, by places.

    That is a mode, such as "int8", or the configuration of Keras that was
    given, where it is not the mode's own.
    """
    found = {path: _told(layer) for path, layer in _layers(model)}
    found = {path: told for path, told in found.items() if told}
    return {"quantized": found} if found else {}


def _told(layer):
    mode = _mode(layer)
    given = getattr(layer, "quantization_config", None)
    if mode is None or given is None:
        return mode
    usual = _USUAL.get(mode)
    if usual is not None and given.get_config() == usual().get_config():
        return mode
    return keras.saving.serialize_keras_object(given)


def without_quantized(config: Mapping[str, Any]) -> tuple[dict, dict]:
    """A configuration without what `quantized_layers` told, and that."""
    config = dict(config)
    told = config.pop("quantized", {})
    return config, told


def quantize_layers(model: Any, told: Mapping[str, Any]) -> None:
    """Quantizes layers again, for weights that are loaded afterwards.

    Raises:
        ValueError: if there is no layer of one of the names.
    """
    layers = dict(_layers(model)) if told else {}
    for path, how in told.items():
        if path not in layers:
            raise ValueError(
                f"`quantized` must have places of layers. Received: {path!r}"
            )
        # One layer may have several places.
        if layers[path].quantization_mode is not None:
            continue
        if isinstance(how, str):
            given = {"mode": how}
        else:
            given = {"config": keras.saving.deserialize_keras_object(how)}
        with quick_collections():
            layers[path].quantize(**given)


def _mode(layer):
    return getattr(layer, "quantization_mode", None)


@contextlib.contextmanager
def quick_collections():
    """A scope in which a collection of garbage looks at new objects alone.

    On PyTorch, Keras collects for each kernel that it replaces, which takes
    half a second among the objects of its libraries.
    """
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def check_weights(weights: Any) -> None:
    """Raises a `ValueError` unless `with_weights` takes them."""
    check_choice(_WEIGHTS, weights=weights)


def with_weights(model: Any, weights: str | None) -> Any:
    """The model, its generator's weights narrow where that is asked for.

    Layers that are so already stay as they are.

    Raises:
        ValueError: if it has no generator.
    """
    if weights is None:
        return model
    generator = getattr(model, "generator", model)
    if not hasattr(generator, "generate_codes"):
        raise ValueError(
            f"`weights` needs a model that has a generator. Received: "
            f"weights={shown(weights)} for a `{type(model).__name__}`"
        )
    with warnings.catch_warnings():
        # Keras tells of each norm that it has no weights to make narrow.
        warnings.filterwarnings("ignore", ".*`quantize` method", UserWarning)
        generator.quantize(
            weights,
            filters=lambda layer: _mode(layer) != weights,
        )
    return model
