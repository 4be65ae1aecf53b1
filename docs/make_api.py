"""Writes docs/api.md: every public name and the first line of its docstring.

python docs/make_api.py
"""

import importlib
import inspect
import pathlib
import types
from typing import Any

import keras_bidalle

PAGE = pathlib.Path(__file__).with_name("api.md")
# Rooms that `import keras_bidalle` does not bring.
IMPORTED_BY_NAME = (
    *("commands", "evaluation", "metrics.extractors"),
    *("programs", "tasks"),
)
HEAD = """\
# Public names

Made by `python docs/make_api.py` from the docstrings, which say the rest:
`help(keras_bidalle.load)`.
"""


def page() -> str:
    """The whole page."""
    rooms = {"keras_bidalle": keras_bidalle}
    names = [
        name
        for name in keras_bidalle.__all__
        if isinstance(getattr(keras_bidalle, name), types.ModuleType)
    ]
    for name in sorted({*names, *IMPORTED_BY_NAME}):
        path = f"keras_bidalle.{name}"
        rooms[path] = importlib.import_module(path)
    return HEAD + "".join(section(*room) for room in rooms.items())


def section(path: str, room: types.ModuleType) -> str:
    """One module: its own docstring's first line and a list of names."""
    entries = [
        entry(name, getattr(room, name))
        for name in sorted(room.__all__, key=str.lower)
        if not isinstance(getattr(room, name), types.ModuleType)
        and not name.startswith("__")
    ]
    return f"\n## {path}\n\n{summary(room)}\n\n" + "".join(entries)


def entry(name: str, value: Any) -> str:
    """One line: a class, a function, or a constant with its type."""
    if inspect.isclass(value) or inspect.isroutine(value):
        return f"- `{name}`: {summary(value)}\n"
    return f"- `{name}`, a {type(value).__name__}\n"


def summary(value: Any) -> str:
    """The first line of a docstring; none is an error."""
    lines = (value.__doc__ or "").strip().splitlines()
    if not lines:
        raise ValueError(f"{value!r} has no docstring.")
    return lines[0]


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
