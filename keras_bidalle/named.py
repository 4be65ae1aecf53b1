"""Small objects that an argument may give by name: a distance, a loss."""

from collections.abc import Mapping
from typing import Any

import keras

from keras_bidalle.arguments import kept_arguments
from keras_bidalle.messages import shown


class Named:
    """Base of small objects without weights that arguments give by name.

    Each keeps its arguments under their names.
    """

    def get_config(self) -> dict[str, Any]:
        return kept_arguments(self)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Any:
        return cls(**config)


def get(
    argument: str, identifier: Any, base: type, kinds: Mapping[str, type]
) -> Any:
    """An object of the class `base`: itself, its serialized form, or by name.

    Raises:
        ValueError: if it is none of these; `argument` is named.
    """
    if isinstance(identifier, dict):
        identifier = keras.saving.deserialize_keras_object(identifier)
    if isinstance(identifier, str) and identifier in kinds:
        return kinds[identifier]()
    if isinstance(identifier, base):
        return identifier
    raise ValueError(
        f"`{argument}` must be one of {sorted(kinds)} or a {base.__name__}. "
        f"Received: {argument}={shown(identifier)}"
    )
