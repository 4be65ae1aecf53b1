"""The backend of our programs, where nobody chose one; imports no Keras.

Keras chooses when it is first imported, so the package asks before that. What
imports the package as a library chooses for itself.
"""

import importlib.util
import json
import os
import pathlib
import sys

# What Keras takes, and writes into its file, where nobody chose.
_NOBODYS_CHOICE = "tensorflow"


def choose_for_programs() -> None:
    """In a program of ours, takes PyTorch where nobody chose a backend."""
    if not _is_our_program():
        return
    # TensorFlow, when something imports it, prints every library it looks for.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    chosen = os.environ.get("KERAS_BACKEND") or _configured()
    if chosen is None and importlib.util.find_spec("torch"):
        # The fastest of the three on CPUs for these programs.
        os.environ["KERAS_BACKEND"] = "torch"


def _is_our_program() -> bool:
    """Whether this is `keras-bidalle`, or a program of the recipes."""
    name = next(iter(sys.argv), "")
    if name == "-m":  # As long as Python looks for the module.
        return "keras_bidalle.cli" in sys.orig_argv
    program = pathlib.Path(name)
    if program.stem == "keras-bidalle":
        return True
    # By what lies beside it: the package may be installed elsewhere.
    return program.is_file() and any(
        folder.name == "recipes" and (folder / "wiring.py").is_file()
        for folder in program.absolute().parents
    )


def _configured() -> str | None:
    """The backend that somebody chose in Keras' configuration file.

    Where that lies is as in `keras/src/backend/config.py`.
    """
    home = os.path.expanduser("~")
    if not os.access(home, os.W_OK):
        home = "/tmp"
    folder = os.environ.get("KERAS_HOME", os.path.join(home, ".keras"))
    file = pathlib.Path(os.path.expanduser(folder), "keras.json")
    try:
        found = json.loads(file.read_text())["backend"]
    # Of a damaged file Keras takes nothing, or tells what is wrong.
    except (OSError, ValueError, LookupError, TypeError):
        return None
    return None if found == _NOBODYS_CHOICE else found
