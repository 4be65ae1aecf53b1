"""From a published checkpoint and its configuration to one of our models."""

import pathlib

from keras_bidalle.converters.configs import read_config
from keras_bidalle.converters.state_dict import read_state_dict
from keras_bidalle.converters.vqgan import (
    convert_te_vqgan,
    convert_vqgan,
    is_te_vqgan,
)

_CHECKPOINTS = (".ckpt", ".pt", ".pth")
_CONFIGS = (".yaml", ".yml", ".json")


def convert(checkpoint, config=None):
    """Converts a published checkpoint.

    Known are VQGAN and Gumbel VQGAN (CompVis) and TE-VQGAN.

    Args:
        checkpoint: str or `pathlib.Path`: a checkpoint file, or a folder
            with one.
        config: str or `pathlib.Path` of the published YAML or JSON
            configuration, by default the one that lies beside the
            checkpoint.

    Returns:
        The model with its weights, a
        `keras_bidalle.image_tokenizers.ImageTokenizer`.

    Raises:
        ValueError: when a file is damaged, of another program, or does not
            fit the other. Nothing in a checkpoint is ever executed.
        FileNotFoundError: when there is no such file.

    Example:

    ```python
    tokenizer = keras_bidalle.converters.convert("last.ckpt", "config.yaml")
    tokenizer.save_to_preset("vqgan")
    ```
    """
    checkpoint = pathlib.Path(checkpoint)
    folder = checkpoint if checkpoint.is_dir() else checkpoint.parent
    if checkpoint.is_dir():
        checkpoint = _the_one(folder, _CHECKPOINTS, "checkpoint")
    if config is None:
        config = _the_one(folder, _CONFIGS, "configuration")
    config = read_config(config)
    state_dict = read_state_dict(checkpoint)
    if "ddconfig" not in config:
        raise ValueError(
            "The configuration is of no program that is known here: it has "
            "no `ddconfig`. Known are VQGAN, Gumbel VQGAN and TE-VQGAN. "
            f"Received: {sorted(map(str, config))}"
        )
    if is_te_vqgan(config):
        return convert_te_vqgan(state_dict, config)
    return convert_vqgan(state_dict, config)


def _the_one(folder, suffixes, what):
    found = sorted(
        path for path in folder.iterdir() if path.suffix.lower() in suffixes
    )
    if len(found) != 1:
        raise FileNotFoundError(
            f"`{folder}` must hold one {what} ({', '.join(suffixes)}), or "
            f"it must be named. Received: {[path.name for path in found]}"
        )
    return found[0]
