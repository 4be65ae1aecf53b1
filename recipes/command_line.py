"""What all programs share of their command lines; imports no Keras."""

import argparse


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
            # Not at the top: the package imports Keras.
            from keras_bidalle.commands import tell_error

            return tell_error(error)

    return main
