"""What all programs share of their command lines; imports no Keras."""


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
