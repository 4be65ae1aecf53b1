"""Messages of one line, whatever stands in a file or an argument; tables."""

import contextlib
import reprlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

MAX_LENGTH = 300

_SHORT = reprlib.Repr()
_SHORT.maxlevel, _SHORT.maxdict, _SHORT.maxstring = 2, 4, 60
_SHORT.maxlist = _SHORT.maxtuple = _SHORT.maxset = _SHORT.maxother = 6
_SHORT.maxother = 60


def shown(value: Any) -> str:
    """A value as messages show it: short, whatever it is.

    Args:
        value: any object; of containers the first members are shown.

    Returns:
        str without control characters.
    """
    # NumPy writes its numbers with their types.
    value = value.item() if isinstance(value, np.generic) else value
    try:
        return one_line(_SHORT.repr(value), 100)
    except Exception:
        # An object's own `__repr__` may raise anything.
        return f"a {type(value).__name__}"


def one_line(text: str, limit: int = MAX_LENGTH) -> str:
    """A text as one line of at most `limit` printable characters.

    What is too long loses its middle: the end of a message says what came.

    Args:
        text: str.
        limit: int.

    Returns:
        str.
    """
    if len(text) > 4 * limit:
        text = f"{text[: 2 * limit]} ... {text[-2 * limit :]}"
    line = " ".join(text.split())
    line = "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode()
        for c in line
    )
    if len(line) <= limit:
        return line
    head = (limit - 5) * 2 // 3
    return f"{line[:head]} ... {line[len(line) - (limit - 5 - head) :]}"


@contextlib.contextmanager
def one_line_errors() -> Iterator[None]:
    """A scope whose errors are told in one line, whatever was read in it.

    What a damaged or hostile file makes of a value shows in all kinds of
    errors; all but those of the system become a `ValueError`.
    """
    try:
        yield
    except (OSError, ImportError):
        raise
    except ValueError as error:
        line = one_line(str(error))
        if line == str(error):
            raise
        raise type(error)(line) from error
    except Exception as error:
        raise ValueError(
            one_line(f"{type(error).__name__} in what was read: {error}")
        ) from error


def markdown_table(head: Sequence[str], rows: Iterable[Iterable[Any]]) -> str:
    """A table in Markdown: a line for `head`, one below, one for each row."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(map(str, row))} |" for row in lines)
