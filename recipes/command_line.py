"""What all programs share of their command lines; imports no Keras."""

import argparse
import sys


def make_parser(description):
    """A parser that shows a program's docstring as it is written."""
    return argparse.ArgumentParser(
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def program(run, parse, errors=(ImportError, OSError, ValueError)):
    """The `main` of a program."""

    def main(arguments=None):
        options = parse(arguments)
        try:
            return run(options) or 0
        except errors as error:
            return fail(error)

    return main


def fail(message):
    """Prints an error in one line."""
    if isinstance(message, OSError) and message.filename is not None:
        # Without the number and the quotes that Python has around it.
        message = f"{message.filename}: {message.strerror}"
    # Not at the top: the package imports Keras.
    from keras_bidalle.messages import one_line

    print(f"Error: {one_line(str(message))}", file=sys.stderr)
    return 1
