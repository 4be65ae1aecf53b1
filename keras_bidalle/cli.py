"""The command `keras-bidalle`: what is installed with the package.

keras-bidalle evaluate MODEL --images photos
"""

import importlib
import importlib.util
import os
import sys

# Each a module with `parse` and `run`.
COMMANDS = {"evaluate": "keras_bidalle.evaluation.program"}


def main(arguments: list[str] | None = None) -> int:
    """Runs a command; returns the exit status.

    Args:
        arguments: list of str, those of the command line by default.
    """
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    if not arguments or arguments[0] not in COMMANDS:
        names = ", ".join(COMMANDS)
        print(f"usage: keras-bidalle {{{names}}} ...", file=sys.stderr)
        return 0 if arguments[:1] in (["-h"], ["--help"]) else 2
    # Before Keras: what the programs choose where nobody did.
    if "KERAS_BACKEND" not in os.environ and importlib.util.find_spec("torch"):
        os.environ["KERAS_BACKEND"] = "torch"
    program = importlib.import_module(COMMANDS[arguments[0]])
    options = program.parse(arguments[1:])
    try:
        program.run(options)
    except (ImportError, OSError, ValueError) as error:
        print(f"Error: {' '.join(str(error).split())[:300]}", file=sys.stderr)
        return 1
    return 0
