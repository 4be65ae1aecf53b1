"""One caption or several, as whoever takes captions takes them."""

from collections.abc import Iterable
from typing import Any

from keras_bidalle.messages import shown


def caption_list(captions: Any) -> list[Any]:
    """Captions, or the one that is given, as a list.

    Raises:
        TypeError: if there are none to go through.
    """
    if isinstance(captions, str):
        return [captions]
    if not isinstance(captions, Iterable):
        raise TypeError(
            "`captions` must be str or a list of str. "
            f"Received: captions={shown(captions)}"
        )
    return list(captions)
