"""From a published checkpoint and its configuration to one of our models."""

import dataclasses
import os
import pathlib
from collections.abc import Callable
from typing import Any

from keras_bidalle.converters import llamagen, open_magvit2
from keras_bidalle.converters.augvae import convert_augvae, is_augvae
from keras_bidalle.converters.bidalle import convert_bidalle, is_bidalle
from keras_bidalle.converters.captions import read_vocabulary, vocabulary_files
from keras_bidalle.converters.dall_e import convert_dall_e_folder, is_dall_e
from keras_bidalle.converters.mindalle import (
    convert_mindalle,
    is_mindalle,
    tokenizer_config,
)
from keras_bidalle.converters.published import (
    Published,
    checkpoint_files,
    unpacked,
)
from keras_bidalle.converters.rq_transformer import (
    convert_rq_transformer,
    is_rq_transformer,
)
from keras_bidalle.converters.rq_vae import convert_rq_vae, is_rq_vae
from keras_bidalle.converters.vqgan import (
    ANCHORS,
    convert_te_vqgan,
    convert_vqgan,
    is_te_vqgan,
    is_vqgan,
)
from keras_bidalle.messages import one_line_errors, shown
from keras_bidalle.presets import load
from keras_bidalle.text_image_model import TextImageModel


@dataclasses.dataclass(frozen=True)
class _Program:
    """A program whose checkpoints are known.

    Attributes:
        name: str.
        is_its: callable from a `Published` to whether it is of the program.
        convert: callable from a `Published`, and what else `takes` says, to
            a model.
        is_generator: bool, or an image tokenizer.
        takes_tokenizer: bool, whether the checkpoint may be without what its
            tokenizer's has.
    """

    name: str
    is_its: Callable[[Published], bool]
    convert: Callable[..., Any]
    is_generator: bool = False
    takes_tokenizer: bool = False


def _of(convert_state):
    return lambda found: convert_state(found.state, found.options)


# Told by their keys alone, and the first without a configuration as well.
_LLAMAGEN = _Program(
    "LlamaGen's VQGAN",
    lambda found: found.has(*llamagen.ANCHORS),
    _of(llamagen.convert_llamagen),
)
# The first that says yes has it.
_PROGRAMS = (
    _LLAMAGEN,
    _Program(
        "Open-MAGVIT2",
        lambda found: found.has(*open_magvit2.ANCHORS),
        _of(open_magvit2.convert_open_magvit2),
    ),
    _Program(
        "AugVAE",
        lambda found: (
            is_augvae(found.options) or found.has("encoders.0.conv_in.weight")
        ),
        lambda found: convert_augvae(found.state, found.options, found.told),
    ),
    _Program(
        "RQ-VAE",
        lambda found: is_rq_vae(found.options),
        _of(convert_rq_vae),
    ),
    _Program(
        "TE-VQGAN",
        lambda found: is_te_vqgan(found.options),
        _of(convert_te_vqgan),
    ),
    _Program(
        "VQGAN and Gumbel VQGAN",
        lambda found: is_vqgan(found.options),
        _of(convert_vqgan),
    ),
    _Program(
        "minDALL-E's VQGAN",
        lambda found: "stage1" in found.options and found.has(*ANCHORS),
        lambda found: convert_vqgan(
            found.state, tokenizer_config(found.options)
        ),
    ),
    _Program(
        "Bi-directional DALL-E",
        lambda found: is_bidalle(found.options),
        _of(convert_bidalle),
        is_generator=True,
    ),
    _Program(
        "minDALL-E",
        lambda found: is_mindalle(found.options),
        _of(convert_mindalle),
        is_generator=True,
    ),
    _Program(
        "RQ-Transformer",
        lambda found: is_rq_transformer(found.options),
        lambda found, tokenizer: convert_rq_transformer(
            found.state, found.options, tokenizer
        ),
        is_generator=True,
        takes_tokenizer=True,
    ),
)
_DALL_E = "DALL-E's discrete VAE"


def convert(
    checkpoint: str | os.PathLike[str],
    config: str | os.PathLike[str] | None = None,
    tokenizer: Any = None,
    vocabulary: Any = None,
    ema: bool = False,
) -> Any:
    """Converts a published model.

    Known are VQGAN and Gumbel VQGAN (CompVis), TE-VQGAN, RQ-VAE, AugVAE,
    DALL-E's discrete VAE, minDALL-E (both stages), the stage 2 of
    Bi-directional DALL-E, RQ-Transformer, and the image tokenizers of
    LlamaGen, Open-MAGVIT2 and IBQ.

    Args:
        checkpoint: str or `pathlib.Path`: a checkpoint of torch (`.ckpt`,
            `.pt`, `.pth`, `.bin`) or safetensors, the index of one in several
            files, a folder, or a `.tar` or `.tar.gz` of one. Of DALL-E the
            folder with `encoder.pkl` and `decoder.pkl`, or one of them.
        config: str or `pathlib.Path` of the published YAML or JSON
            configuration, by default the one that lies beside the
            checkpoint, or the settings in the checkpoint itself. DALL-E's
            and LlamaGen's weights need none.
        tokenizer: the image tokenizer of a generator: what
            `keras_bidalle.load` takes, a published checkpoint, or a model.
            An RQ-Transformer needs it where its checkpoint leaves out the
            codebooks; by default that which lies beside it.
        vocabulary: as in `read_vocabulary`: the published vocabulary of a
            generator's captions, by default that which lies beside it. With
            it and a tokenizer the three become one model.
        ema: bool, whether the averaged copy of the weights is taken that
            some checkpoints have.

    Returns:
        The model with its weights: a
        `keras_bidalle.image_tokenizers.ImageTokenizer`, one of
        `keras_bidalle.generators`, or a `keras_bidalle.TextImageModel`.

    Raises:
        ValueError: when a file is damaged, of another program, or does not
            fit the others. Nothing in a checkpoint is ever executed.
        FileNotFoundError: when there is no such file.

    Example:

    ```python
    tokenizer = keras_bidalle.converters.convert("last.ckpt", "config.yaml")
    tokenizer.save_to_preset("vqgan")
    ```
    """
    model, _ = convert_with_tokenizer(
        checkpoint, config, tokenizer, vocabulary, ema
    )
    return model


def convert_with_tokenizer(
    checkpoint: str | os.PathLike[str],
    config: str | os.PathLike[str] | None = None,
    tokenizer: Any = None,
    vocabulary: Any = None,
    ema: bool = False,
) -> tuple[Any, Any]:
    """Converts a published model and the image tokenizer beside it.

    Args:
        checkpoint, config, tokenizer, vocabulary, ema: as in `convert`.

    Returns:
        Tuple of what `convert` gives and, of a generator that did not become
        one model with its tokenizer, the image tokenizer that was published
        in the same place, or `None`.

    Raises:
        ValueError, FileNotFoundError: as `convert`.
    """
    with one_line_errors(), unpacked(pathlib.Path(checkpoint)) as path:
        if is_dall_e(path):
            _check_none(_DALL_E, tokenizer=tokenizer, vocabulary=vocabulary)
            folder = path if os.path.isdir(path) else path.parent
            return convert_dall_e_folder(folder, config), None
        found = [
            Published.read(file, config, ema) for file in checkpoint_files(path)
        ]
        return _converted(found, path, tokenizer, vocabulary)


def _converted(found, path, tokenizer, vocabulary):
    """The model of the checkpoints in one place, and a tokenizer left over."""
    pairs = [(one, _program(one)) for one in found]
    generators = [pair for pair in pairs if pair[1].is_generator]
    tokenizers = [pair for pair in pairs if not pair[1].is_generator]
    if len(generators) > 1 or len(tokenizers) > 1:
        raise ValueError(
            f"`{path}` holds several checkpoints; name one of them. "
            f"Received: {shown([one.path.name for one in found])}"
        )
    if not generators:
        ((one, program),) = tokenizers
        _check_none(program.name, tokenizer=tokenizer, vocabulary=vocabulary)
        return program.convert(one), None
    ((one, program),) = generators
    is_beside = tokenizer is None and bool(tokenizers)
    if is_beside:
        ((beside, its_program),) = tokenizers
        tokenizer = its_program.convert(beside)
    # A whole model lies there where both of its stages do.
    vocabulary = vocabulary or (
        tokenizers and vocabulary_files(one.path.parent)
    )
    is_joined = bool(vocabulary)
    if not (is_beside or is_joined or program.takes_tokenizer):
        _check_none(program.name, tokenizer=tokenizer)
    if is_joined and tokenizer is None:
        raise ValueError(
            "`vocabulary` joins a generator with its captions and its image "
            "tokenizer: give that as `tokenizer`."
        )
    if is_joined and isinstance(tokenizer, (str, os.PathLike)):
        tokenizer = _loaded(tokenizer)
    takes = (tokenizer,) if program.takes_tokenizer else ()
    generator = program.convert(one, *takes)
    if not is_joined:
        return generator, tokenizer if is_beside else None
    captions = read_vocabulary(vocabulary, generator.text_length)
    return TextImageModel(tokenizer, captions, generator), None


def _program(found):
    if _LLAMAGEN.is_its(found):
        return _LLAMAGEN
    found.check_configured()
    beside = found.options
    # A file that lies beside may be something else than its configuration.
    for options in (beside, found.told):
        found.options = options
        for program in _PROGRAMS:
            if program.is_its(found):
                return program
    known = ", ".join((*(program.name for program in _PROGRAMS), _DALL_E))
    raise ValueError(
        "The configuration is of an unknown program. Known are "
        f"{known}. Received: {shown(sorted(map(str, beside)))}"
    )


def _loaded(tokenizer):
    """An image tokenizer by its preset, or its published checkpoint."""
    path = pathlib.Path(tokenizer)
    is_preset = not os.path.exists(path) or os.path.isfile(
        path / "metadata.json"
    )
    return load(tokenizer) if is_preset else convert(path)


def _check_none(program, **arguments):
    for name, value in arguments.items():
        if value is not None:
            raise ValueError(
                f"`{name}` is of no use to a checkpoint of {program}. "
                f"Received: {name}={shown(value)}"
            )
