"""Weights of generators, as presets of format 1 hold them.

A generator had no parts then: its own variables lie in one group, in the
order in which they were made, and all layers beside it. Here they move to the
parts that have them now.
"""

import contextlib
import pathlib
import tempfile
from collections.abc import Iterator
from typing import Any

import h5py

# Layers by name, and the parts that have them now. The others are of the
# image head.
_LAYERS = {
    "norm": "transformer/norm",
    "no_norm": "transformer/norm",
    "token_convolution": "transformer/token_convolution",
    "image_positions": "embedding/position_layer",
    "text_norm": "captions/text_norm",
}


@contextlib.contextmanager
def with_parts(path: pathlib.Path, model: Any) -> Iterator[pathlib.Path]:
    """A weights file of format 1 as the model reads it.

    Args:
        path: `pathlib.Path`, the file.
        model: the model that is to read it.

    Yields:
        `pathlib.Path`: the file itself, or, where a generator is in it, a
        temporary one.
    """
    with h5py.File(path) as source, contextlib.ExitStack() as stack:
        name = "generator" if "generator" in source else "/"
        if "blocks" not in source[name]:
            yield path
            return
        folder = pathlib.Path(
            stack.enter_context(tempfile.TemporaryDirectory())
        )
        temporary = folder / path.name
        with h5py.File(temporary, "w") as target:
            for other in set(source) - {name} if name != "/" else ():
                source.copy(other, target)
            generator = getattr(model, name) if name != "/" else model
            _copy(source[name], target.require_group(name), generator)
        yield temporary


def _copy(source, target, generator):
    for group, name in _layers(source):
        source.copy(group, target, _place(name))

    # Keras puts what is not trained last.
    frozen = []
    if getattr(generator.head, "codebooks", None) is not None:
        frozen = ["head/codebooks/vars/0"]
    captions = _variables("captions", 2 + generator.captions.head_bias)
    embedding = generator.embedding
    embedding = _variables(
        "embedding",
        1 + embedding.segment_embeddings + bool(embedding.condition_dropout),
    )
    others = len(captions) + len(embedding) + len(frozen)
    head = _variables("head", len(source["vars"]) - others)
    places = [captions[0], *embedding, *captions[1:], *head, *frozen]
    for index, place in enumerate(places):
        source.copy(f"vars/{index}", target, place)


def _layers(group):
    """Pairs of a layer's group and its name, lists of layers opened."""
    for name, item in group.items():
        if name == "vars":
            continue
        if "vars" in item:
            yield item, item["vars"].attrs["name"]
        else:
            yield from _layers(item)


def _place(name):
    kind, _, number = name.rpartition("_")
    if kind in ("block", "head_block"):
        suffix = f"_{number}" if int(number) else ""
        part = "transformer/" if kind == "block" else "head/head_"
        return f"{part}blocks/transformer_block{suffix}"
    return _LAYERS.get(name, f"head/{name}")


def _variables(part, count):
    return [f"{part}/vars/{i}" for i in range(count)]
