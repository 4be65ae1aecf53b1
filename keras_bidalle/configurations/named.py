"""The published models, and those for one's own pictures, by name."""

import copy
import difflib
from collections.abc import Mapping
from typing import Any

from keras_bidalle.configurations import generators, sizes, tokenizers
from keras_bidalle.messages import shown

# What a name stands for: a class and its constructor's arguments.
Entry = tuple[type, dict[str, Any]]
_TOKENIZERS = {**tokenizers.TOKENIZERS, **sizes.TOKENIZERS}
_GENERATORS = {**generators.GENERATORS, **sizes.GENERATORS}


def tokenizer_names() -> list[str]:
    """The names of all image tokenizers, sorted."""
    return sorted(_TOKENIZERS)


def generator_names() -> list[str]:
    """The names of all generators, sorted."""
    return sorted(_GENERATORS)


def tokenizer(name: str) -> Entry:
    """What an image tokenizer is made of, one of `tokenizer_names()`.

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
    return _entry(_TOKENIZERS, name, "image tokenizers")


def generator(name: str) -> Entry:
    """As `tokenizer`: a class of `keras_bidalle.generators` and arguments."""
    return _entry(_GENERATORS, name, "generators")


def _entry(table: Mapping[str, Entry], name: str, kind: str) -> Entry:
    if not isinstance(name, str) or name not in table:
        # All of them would be a long line; the programs' --help lists them.
        some = difflib.get_close_matches(str(name)[:100], table, 5, 0.4)
        raise ValueError(
            f"Known {kind} are {len(table)}, such as "
            f"{', '.join(some or sorted(table)[:5])}. "
            f"Received: name={shown(name)}"
        )
    cls, arguments = table[name]
    return cls, copy.deepcopy(arguments)
