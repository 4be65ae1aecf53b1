"""How large data is where each shared part is written out in its place.

By the aliases of YAML and by the memo of a pickle a kilobyte can stand for more
values than there is memory. Read as it is it takes little; but whoever merges
it, or walks through it, would never end.
"""

import math
from collections.abc import Callable, Iterable
from typing import Any

from keras_bidalle.converters.unpickling import CheckpointError

# So much larger than what is written, and so large at all, no data is that
# somebody wrote.
_TIMES, _VALUES = 10, 100_000


def check_expansion(value: Any, parts: Callable[[Any], Iterable[Any]]) -> None:
    """Raises a `CheckpointError` where data is far more than what is written.

    Args:
        value: any object.
        parts: callable from an object to those in it.
    """
    sizes = _Sizes(parts)
    count = sizes.of(value)
    if count > max(_VALUES, _TIMES * sizes.written):
        told = f"{count:.3g} values"
        if count == math.inf:
            told = "a part that contains itself"
        raise CheckpointError(
            f"its parts must not repeat others more than {_TIMES} times. "
            f"Received: {told} written as {sizes.written}"
        )


class _Sizes:
    """The sizes of objects; `written` is that of all, each counted once."""

    def __init__(self, parts):
        self.parts = parts
        self.written = 0
        self.known = {}

    def of(self, value):
        if id(value) in self.known:
            return self.known[id(value)]
        inner = list(self.parts(value))
        if not inner:
            return 1.0
        self.written += 1 + len(inner)
        # What it is inside of itself.
        self.known[id(value)] = math.inf
        size = 1.0 + sum(map(self.of, inner))
        self.known[id(value)] = size
        return size


def parts_of_data(value: Any) -> Iterable[Any]:
    """The values in a dict, list or tuple."""
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list | tuple) else ()
