"""Models made of configurations alone."""

import pathlib
import tempfile
from typing import Any

import keras

from keras_bidalle.backend.keras_internals import (
    variables_with_values_to_come,
    variables_without_values,
)


def without_training_state(model: Any, config: Any) -> Any:
    """The model as its configuration makes it, with the same weights.

    A compiled model's weights file holds its optimizer's state, two thirds of
    the whole. Making the model anew also shows, while there is still someone
    to tell, that what is saved can be loaded; a model that was not compiled
    takes no more memory for it.
    """
    parts = [model, *getattr(model, "layers", ())]
    if all(getattr(part, "optimizer", None) is None for part in parts):
        with variables_without_values():
            fresh = from_config(config)
        wanted, made = (
            [tuple(weight.shape) for weight in kept_weights(one)]
            for one in (model, fresh)
        )
        if wanted != made:
            raise ValueError(
                f"`{type(model).__name__}` has other weights after "
                "`from_config`: its configuration must tell all that it is "
                f"made of. Received: {len(wanted)} weights, and {len(made)}"
            )
        return model
    with variables_with_values_to_come():
        fresh = from_config(config)
    with tempfile.TemporaryDirectory() as scratch:
        everything = str(pathlib.Path(scratch) / "model.weights.h5")
        model.save_weights(everything)
        fresh.load_weights(everything)
    return fresh


def kept_weights(model: Any) -> list:
    """The weights that a file keeps of a model.

    Adapters (LoRA) are not among them: Keras adds them to what they adapt.
    """
    return [w for w in model.weights if not w.name.startswith("lora_")]


def from_config(config: Any) -> Any:
    """The model that a configuration tells of, with its variables."""
    model = keras.saving.deserialize_keras_object(config, safe_mode=True)
    if not model.built:
        raise ValueError(
            f"`{type(model).__name__}` has no weights after `from_config`: it "
            "must make them in its constructor."
        )
    return model
