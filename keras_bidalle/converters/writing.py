"""Our weights under the published programs' names, in safetensors files."""

import json
import os
import pathlib
from typing import Any

import numpy as np
from keras import ops

from keras_bidalle.converters.augvae import link_augvae
from keras_bidalle.converters.bidalle import link_bidalle
from keras_bidalle.converters.containers import SAFETENSORS_DTYPES
from keras_bidalle.converters.llamagen import link_llamagen
from keras_bidalle.converters.mindalle import link_mindalle
from keras_bidalle.converters.open_magvit2 import link_open_magvit2
from keras_bidalle.converters.rq_transformer import link_rq_transformer
from keras_bidalle.converters.rq_vae import link_rq_vae
from keras_bidalle.converters.vqgan import link_tokenizer
from keras_bidalle.converters.weights import WeightLinks
from keras_bidalle.files import atomic_path
from keras_bidalle.generators import BidirectionalTransformer, RQTransformer
from keras_bidalle.image_tokenizers import (
    RQVAE,
    VQGAN,
    AugVAE,
    OpenMAGVIT2,
    SingleLevelAugVAE,
)
from keras_bidalle.validation import refused

_NAMES = {name: short for short, name in SAFETENSORS_DTYPES.items()}


class _StateDictWriter(WeightLinks):
    """Collects the arrays that a published program would save."""

    source = "our own"

    def __init__(self):
        self.state_dict = {}
        self.linked = set()

    def __contains__(self, name):
        return False  # What is optional is not written.

    def link(self, variables, shapes, read, write):
        values = [np.array(ops.convert_to_numpy(v.value)) for v in variables]
        arrays = list(write(*values))
        for (name, shape), array in zip(shapes.items(), arrays, strict=True):
            self.state_dict[name] = np.reshape(array, tuple(shape))
        self.linked |= {id(variable) for variable in variables}

    def copy_of(self, name, original):
        self.state_dict[name] = self.state_dict[original]

    def ignore(self, *prefixes):
        pass


def _link_generator(links, generator):
    """minDALL-E has a vector for each place, Bi-directional DALL-E none."""
    positions = generator.embedding.image_positions
    is_mindalle = positions == "learned_places"
    (link_mindalle if is_mindalle else link_bidalle)(links, generator)


def _link_vqgan(links, tokenizer):
    """LlamaGen's codes are of length 1; of the others' none are."""
    is_llamagen = getattr(tokenizer.quantizer, "normalize", False)
    (link_llamagen if is_llamagen else link_tokenizer)(links, tokenizer)


_LINKS = (
    (VQGAN, _link_vqgan),
    (OpenMAGVIT2, link_open_magvit2),
    (RQVAE, link_rq_vae),
    (AugVAE, link_augvae),
    (SingleLevelAugVAE, link_augvae),
    (RQTransformer, link_rq_transformer),
    (BidirectionalTransformer, _link_generator),
)


def published_state_dict(model: Any) -> dict[str, np.ndarray]:
    """A model's weights under the names of the program it comes from.

    Args:
        model: a `VQGAN`, `RQVAE`, `OpenMAGVIT2`, `AugVAE` or
            `SingleLevelAugVAE`, or a `BidirectionalTransformer` or
            `RQTransformer` as the converters make them.

    Returns:
        Dict from key to array, in torch's layouts, which the program and
        `convert` load with the published configuration.

    Raises:
        ValueError: for a model that no published program has.
    """
    for kind, link in _LINKS:
        if type(model) is kind:
            links = _StateDictWriter()
            try:
                link(links, model)
            except AttributeError as error:
                raise ValueError(_unknown(model)) from error
            if kind is RQTransformer and model.text_length == 1:
                # A class is a condition that nothing predicts.
                links.linked |= {id(v) for v in model.captions.weights}
            weights = model.trainable_weights
            left = [v for v in weights if id(v) not in links.linked]
            if left:
                raise ValueError(f"{_unknown(model)}: {left[0].path}")
            return links.state_dict
    raise ValueError(_unknown(model))


def _unknown(model):
    return (
        f"`model`, a `{type(model).__name__}`, has weights that no published "
        "program has"
    )


def write_safetensors(
    arrays: dict[str, np.ndarray], path: str | os.PathLike[str]
) -> None:
    """Writes arrays as a safetensors file, which appears whole or not.

    Args:
        arrays: dict from name to array.
        path: str or `pathlib.Path`, with the suffix `.safetensors`.
    """
    path = pathlib.Path(path)
    if path.suffix != ".safetensors":
        raise refused("end in `.safetensors`", path=str(path))
    header, end = {}, 0
    for name, array in arrays.items():
        begin, end = end, end + array.nbytes
        header[name] = {
            "dtype": _NAMES[array.dtype.name],
            "shape": list(array.shape),
            "data_offsets": [begin, end],
        }
    text = json.dumps(header).encode()
    # The numbers begin at a multiple of eight bytes.
    text += b" " * (-len(text) % 8)
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for array in arrays.values():
            file.write(np.ascontiguousarray(array).data)
