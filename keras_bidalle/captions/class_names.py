"""Names of classes as rows of one token, where a class is the condition."""

import difflib
import json
import os
import pathlib
import unicodedata
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_bidalle.captions.caption_list import caption_list
from keras_bidalle.messages import one_line, shown
from keras_bidalle.validation import check_positive


@keras.saving.register_keras_serializable(package="keras_bidalle")
class ClassNames:
    """Turns names of classes into int32 rows of one number, and back.

    It stands in the place of a `CaptionTokenizer` in a `TextImageModel` whose
    generator has a class for its condition (`text_length=1`). One class, the
    empty name, is no condition at all.

    Args:
        names: sequence of distinct str, the classes in the order of their
            numbers; `None` where they have numbers alone, which are then
            written in decimals.
        vocabulary_size: int, the classes of the generator, at least as many
            as there are names; by default as many.

    Attributes:
        max_length: 1, the length of a row.
        special_ids: empty set, as of a `CaptionTokenizer`.

    Raises:
        ValueError: if an argument is something else.

    Example:

    ```python
    classes = ClassNames(["cats", "dogs"])
    classes.encode(["dogs"])  # int32 [[1]]
    ```
    """

    max_length = 1
    start_id = end_id = pad_id = None
    special_ids: frozenset[int] = frozenset()

    def __init__(
        self,
        names: Sequence[str] | None = None,
        vocabulary_size: int | None = None,
    ) -> None:
        if names is not None:
            if (
                isinstance(names, str)
                or not isinstance(names, Sequence)
                or not names
                or not all(isinstance(name, str) for name in names)
                or len(set(names)) < len(names)
            ):
                raise ValueError(
                    "`names` must be a list of distinct str, at least one. "
                    f"Received: names={shown(names)}"
                )
            names = list(names)
            if vocabulary_size is None:
                vocabulary_size = len(names)
        check_positive(vocabulary_size=vocabulary_size)
        assert vocabulary_size is not None
        if names is not None and len(names) > vocabulary_size:
            raise ValueError(
                f"`names` must be at most `vocabulary_size`={vocabulary_size}. "
                f"Received: {len(names)} names"
            )
        self.names = names
        self.vocabulary_size = int(vocabulary_size)
        self._numbers = {
            _composed(name): number for number, name in enumerate(names or ())
        }

    @classmethod
    def read(
        cls, path: str | os.PathLike[str], vocabulary_size: int | None = None
    ) -> "ClassNames":
        """Reads the `classes.json` of a run: a list of names.

        Raises:
            ValueError: if the file holds something else, or more names than
                `vocabulary_size`.
            OSError: if it cannot be read.
        """
        path = pathlib.Path(path)
        try:
            names = json.loads(path.read_text(encoding="utf-8"))
            if names is None:
                raise ValueError("Received: null")
            return cls(names, vocabulary_size)
        except (ValueError, RecursionError) as error:
            raise ValueError(
                one_line(
                    f"{shown(str(path))} must be a JSON list of the names of "
                    f"classes: {error}"
                )
            ) from None

    def encode(self, captions: str | Sequence[str]) -> np.ndarray:
        """The numbers of classes.

        Args:
            captions: list of str, names of classes (or one: a batch of one).

        Returns:
            int32 array (B, 1).

        Raises:
            ValueError: on a class that there is not; the message says which
                there are.
            TypeError: when a name is not a str.
        """
        captions = caption_list(captions)
        numbers = np.zeros((len(captions), 1), "int32")
        for i, name in enumerate(captions):
            if not isinstance(name, str):
                raise TypeError(
                    "`captions` must be strings, names of classes. Received: "
                    f"captions[{i}]={shown(name)}"
                )
            numbers[i] = self._number(name, f"`captions[{i}]`")
        return numbers

    def _number(self, name, told):
        if self.names is None:
            # Digits of other scripts are decimals to Python, too.
            if name.isascii() and name.isdecimal() and len(name) < 10:
                number = int(name)
                if number < self.vocabulary_size:
                    return number
            raise ValueError(
                f"{told} must be the number of a class, from 0 to "
                f"{self.vocabulary_size - 1}. Received: {shown(name)}"
            )
        number = self._numbers.get(_composed(name))
        if number is None:
            raise ValueError(
                f"{told} must be one of {len(self.names)} classes, such as "
                f"{shown(self._like(name))}. Received: {shown(name)}"
            )
        return number

    def _like(self, name):
        """Some classes, those that are spelled nearly so first."""
        found = difflib.get_close_matches(name[:100], self.names, 3)
        return list(dict.fromkeys([*found, *self.names]))[:5]

    def decode(self, ids: Any) -> list[str]:
        """The names of classes: int array (B, 1) to list of B str.

        Raises:
            ValueError: on another shape, or numbers without a name.
        """
        ids = np.asarray(ops.convert_to_numpy(ids))
        most = len(self.names) if self.names else self.vocabulary_size
        if (
            ids.shape[1:] != (1,)
            or ids.dtype.kind not in "iu"
            or (ids.size and not 0 <= ids.min() <= ids.max() < most)
        ):
            raise ValueError(
                f"`ids` must be integers (batch, 1) in [0, {most}). Received: "
                f"shape={ids.shape}, dtype={ids.dtype}"
            )
        names = self.names or list(map(str, range(most)))
        return [names[number] for number in ids[:, 0].tolist()]

    def get_config(self) -> dict[str, Any]:
        return {"names": self.names, "vocabulary_size": self.vocabulary_size}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "ClassNames":
        return cls(**config)


def _composed(name):
    # Some file systems take folders' names apart into letters and accents.
    return unicodedata.normalize("NFC", name)
