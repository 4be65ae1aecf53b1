"""From a published checkpoint and its configuration to one of our models."""

import os
import pathlib
from typing import Any

from keras_bidalle.converters.augvae import convert_augvae, is_augvae
from keras_bidalle.converters.bidalle import convert_bidalle, is_bidalle
from keras_bidalle.converters.configs import read_config
from keras_bidalle.converters.dall_e import convert_dall_e_folder, is_dall_e
from keras_bidalle.converters.mindalle import convert_mindalle, is_mindalle
from keras_bidalle.converters.rq_transformer import (
    convert_rq_transformer,
    is_rq_transformer,
)
from keras_bidalle.converters.rq_vae import convert_rq_vae, is_rq_vae
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
    ("AugVAE", is_augvae, convert_augvae),
    ("RQ-VAE", is_rq_vae, convert_rq_vae),
    ("TE-VQGAN", is_te_vqgan, convert_te_vqgan),
    ("VQGAN and Gumbel VQGAN", is_vqgan, convert_vqgan),
    ("Bi-directional DALL-E", is_bidalle, convert_bidalle),
    ("minDALL-E", is_mindalle, convert_mindalle),
    ("RQ-Transformer", is_rq_transformer, convert_rq_transformer),
)

# Those whose checkpoints may be without what their tokenizer's has.
_WITH_TOKENIZER = (convert_rq_transformer,)
# Programs that publish a model in several files, known by their names: a
# name, whether a path is one of its files or a folder with one, and what
# makes a model of the folder and the path of a configuration or `None`.
_FOLDERS = (("DALL-E's discrete VAE", is_dall_e, convert_dall_e_folder),)


def convert(
    checkpoint: str | os.PathLike[str],
    config: str | os.PathLike[str] | None = None,
    tokenizer: Any = None,
) -> Any:
    """Converts a published checkpoint.

    Known are VQGAN and Gumbel VQGAN (CompVis), TE-VQGAN, RQ-VAE, AugVAE,
    DALL-E's discrete VAE, the stages 2 of Bi-directional DALL-E and
    minDALL-E, and RQ-Transformer.

    Args:
        checkpoint: str or `pathlib.Path`: a checkpoint file, or a folder
            with one; of DALL-E the folder with `encoder.pkl` and
            `decoder.pkl`, or one of them.
        config: str or `pathlib.Path` of the published YAML or JSON
            configuration, by default the one that lies beside the
            checkpoint. DALL-E's weights need none.
        tokenizer: of an RQ-Transformer, whose checkpoint leaves out the
            codebooks that it embeds codes with: its image tokenizer, as
            `convert_rq_transformer` takes it.

    Returns:
        The model with its weights, a
        `keras_bidalle.image_tokenizers.ImageTokenizer` or one of
        `keras_bidalle.generators`.

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
    for name, is_its, convert_its in _FOLDERS:
        if is_its(checkpoint):
            _check_no_tokenizer(name, tokenizer)
            return convert_its(folder, config)
    if checkpoint.is_dir():
        checkpoint = _the_one(folder, _CHECKPOINTS, "checkpoint")
    if config is None:
        config = _the_one(folder, _CONFIGS, "configuration")
    options = read_config(config)
    state_dict = read_state_dict(checkpoint)
    for name, is_its, convert_state in _PROGRAMS:
        if not is_its(options):
            continue
        if convert_state in _WITH_TOKENIZER:
            return convert_state(state_dict, options, tokenizer)
        _check_no_tokenizer(name, tokenizer)
        return convert_state(state_dict, options)
    known = ", ".join(name for name, _, _ in (*_PROGRAMS, *_FOLDERS))
    raise ValueError(
        "The configuration is of an unknown program. Known are "
        f"{known}. Received: {sorted(map(str, options))}"
    )


def _check_no_tokenizer(name, tokenizer):
    if tokenizer is not None:
        raise ValueError(
            f"`tokenizer` is of no use to a checkpoint of {name}. "
            f"Received: tokenizer={tokenizer!r}"
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
