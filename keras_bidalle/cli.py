"""The command `keras-bidalle`: what is installed with the package.

keras-bidalle draw "red 3 on the upper left ."
keras-bidalle read PICTURE
keras-bidalle train FOLDER
keras-bidalle evaluate MODEL --images photos
"""

import importlib
import sys

# Each a module with `parse` and `run`.
COMMANDS = {
    "draw": "keras_bidalle.commands.draw",
    "read": "keras_bidalle.commands.read",
    "train": "keras_bidalle.commands.train",
    "evaluate": "keras_bidalle.evaluation.program",
}


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
    program = importlib.import_module(COMMANDS[arguments[0]])
    options = program.parse(arguments[1:])
    # Not at the top: the usage is told without them.
    from keras_bidalle.commands import inputs

    inputs.take_large_images()
    try:
        return program.run(options) or 0
    except KeyboardInterrupt:
        return inputs.tell_stopped(options)
    except (ImportError, OSError, ValueError) as error:
        return inputs.tell_error(error)


if __name__ == "__main__":
    sys.exit(main())
