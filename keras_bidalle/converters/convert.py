"""From a published checkpoint and its configuration to one of our models."""

import pathlib

from keras_bidalle.converters.configs import read_config
from keras_bidalle.converters.dall_e import convert_dall_e_folder, is_dall_e
from keras_bidalle.converters.state_dict import read_state_dict
from keras_bidalle.converters.vqgan import (
    convert_te_vqgan,
    convert_vqgan,
    is_te_vqgan,
    is_vqgan,
)

_CHECKPOINTS = (".ckpt", ".pt", ".pth")
_CONFIGS = (".yaml", ".yml", ".json")

# Programs whose checkpoints are known: a name, which configurations are its
# (the first that says yes has it), and what makes a model of arrays and a
# configuration.
_PROGRAMS = (
    ("TE-VQGAN", is_te_vqgan, convert_te_vqgan),
    ("VQGAN and Gumbel VQGAN", is_vqgan, convert_vqgan),
)

# Programs that publish a model in several files, known by their names: a
# name, whether a path is one of its files or a folder with one, and what
# makes a model of the folder and the path of a configuration or `None`.
_FOLDERS = (("DALL-E's discrete VAE", is_dall_e, convert_dall_e_folder),)


def convert(checkpoint, config=None):
    """Converts a published checkpoint.

    Known are VQGAN and Gumbel VQGAN (CompVis), TE-VQGAN, and DALL-E's
    discrete VAE.

    Args:
        checkpoint: str or `pathlib.Path`: a checkpoint file, or a folder
            with one; of DALL-E the folder with `encoder.pkl` and
            `decoder.pkl`, or one of them.
        config: str or `pathlib.Path` of the published YAML or JSON
            configuration, by default the one that lies beside the
            checkpoint. DALL-E's weights need none.

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
    for _, is_its, convert_its in _FOLDERS:
        if is_its(checkpoint):
            return convert_its(folder, config)
    if checkpoint.is_dir():
        checkpoint = _the_one(folder, _CHECKPOINTS, "checkpoint")
    if config is None:
        config = _the_one(folder, _CONFIGS, "configuration")
    config = read_config(config)
    state_dict = read_state_dict(checkpoint)
    for _, is_its, convert_its in _PROGRAMS:
        if is_its(config):
            return convert_its(state_dict, config)
    known = ", ".join(name for name, _, _ in (*_PROGRAMS, *_FOLDERS))
    raise ValueError(
        "The configuration is of no program that is known here. Known are "
        f"{known}. Received: {sorted(map(str, config))}"
    )


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
