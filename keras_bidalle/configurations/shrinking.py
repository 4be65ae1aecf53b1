"""Any configuration, shrunk until it trains in seconds."""

from typing import Any

from keras_bidalle.arguments import argument_names
from keras_bidalle.configurations.building import (
    class_of,
    is_serialized,
    serialized,
)
from keras_bidalle.configurations.configuration import Configuration

# Sizes that are set wherever a class takes them ...
_TINY = {
    "image_shape": (32, 32, 3),
    "channels": 16,
    "hidden_channels": 16,
    "channel_multipliers": (1, 1, 2),
    "next_channel_multipliers": (1, 2),
    "num_res_blocks": 1,
    "num_blocks": 1,
    "attention_resolutions": (),
    "z_channels": 16,
    "num_codes": 32,
    "code_dim": 16,
    "text_vocabulary_size": 200,
    "text_length": 48,
    "width": 48,
    "num_heads": 2,
    "head_depth": 1,
}
# ... and those that are only changed where they are given.
_TINY_WHERE_GIVEN = {
    "depth": 2,
    "num_levels": 2,
    "head_dim": 16,
    "kernel_size": 3,
    "input_dim": 32,
    "decoder_channels": 16,
    "decoder_num_res_blocks": 1,
}
_TINY_TRAINING = {
    "learning_rate": 2e-3,
    "batch_size": 8,
    "epochs": None,
    "steps": 20,
    "schedule_steps": None,
    "warmup_steps": 0,
    "warmup_epochs": None,
    "average_momentum": None,
    "codebook_start": None,
    "frozen": None,
    "discriminator_layers": 1,
    "discriminator_filters": 8,
    "adversarial_start": 10,
    "temperature_steps": 15,
    "beta_steps": 5,
}


def tiny(cls: Any, arguments: dict[str, Any]) -> dict[str, Any]:
    """Arguments of a model that is as small as it can be.

    Args:
        cls: class.
        arguments: dict, as `build` takes them.

    Returns:
        A new dict.
    """
    result = dict(arguments)
    for name, value in arguments.items():
        if is_serialized(value):
            part = class_of(value)
            result[name] = serialized(part, tiny(part, value["config"]))
    # A base class may take what this one decides itself.
    known = {*arguments, *argument_names(cls)}
    result.update((n, value) for n, value in _TINY.items() if n in known)
    if arguments.get("text_length") == 1:  # A class is its condition.
        size = min(arguments["text_vocabulary_size"], 200)
        result.update(text_length=1, text_vocabulary_size=size)
    for name, most in _TINY_WHERE_GIVEN.items():
        if result.get(name) is not None:
            result[name] = min(result[name], most)
    if "attention" in result:
        result["attention"] = result["attention"][-2:]
    return result


def shrunk(configuration: Configuration) -> Configuration:
    """A configuration whose model and training are as small as can be."""
    training = configuration.training
    changed = {n: v for n, v in _TINY_TRAINING.items() if n in training}
    return Configuration(
        configuration.cls,
        tiny(configuration.cls, configuration.arguments),
        {**training, **changed},
    )
