"""The published models by name."""

import copy
from collections.abc import Mapping
from typing import Any

from keras_bidalle.configurations.generators import GENERATORS
from keras_bidalle.configurations.tokenizers import TOKENIZERS

# What a name stands for: a class and its constructor's arguments.
Entry = tuple[type, dict[str, Any]]


def tokenizer_names() -> list[str]:
    """The names of all published image tokenizers, sorted."""
    return sorted(TOKENIZERS)


def generator_names() -> list[str]:
    """The names of all published generators, sorted."""
    return sorted(GENERATORS)


def tokenizer(name: str) -> Entry:
    """What a published image tokenizer is made of, one of `tokenizer_names()`.

    Returns:
        Tuple of a class of `keras_bidalle.image_tokenizers` and a dict of its
        constructor's arguments, free to be changed, for `build`.

    Raises:
        ValueError: if there is no such name.

    Example:

    ```python
    cls, arguments = configurations.tokenizer("rq-vae-ffhq")
    small = configurations.build(cls, {**arguments, "channels": 32})
    ```
    """
    return _entry(TOKENIZERS, name, "image tokenizers")


def generator(name: str) -> Entry:
    """As `tokenizer`: a class of `keras_bidalle.generators` and arguments."""
    return _entry(GENERATORS, name, "generators")


def _entry(table: Mapping[str, Entry], name: str, kind: str) -> Entry:
    if name not in table:
        raise ValueError(
            f"Published {kind} are {', '.join(sorted(table))}. "
            f"Received: name={name!r}"
        )
    cls, arguments = table[name]
    return cls, copy.deepcopy(arguments)
