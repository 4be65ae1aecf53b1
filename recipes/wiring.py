"""What the programs share: the backend, options, and images.

Import it before Keras: the package chooses the backend where nobody did.
"""

import pathlib

from command_line import program  # noqa: F401

from keras_bidalle import programs
from keras_bidalle.commands import (  # noqa: F401
    PictureInputs,
    check_counts,
    take_large_images,
    text_image_model,
)
from keras_bidalle.programs import (  # noqa: F401
    image_tokenizer_of,
    make_parser,
    preset_of,
)

take_large_images()


def add_output(parser, default):
    """Adds an option for the folder to write."""
    meaning = f"folder to write (default: {default})"
    parser.add_argument(
        "--output", default=default, type=pathlib.Path, help=meaning
    )


def on_devices(run):
    """A program's `run`, within the distribution that its options name."""

    def distributed(options):
        with programs.distributed(options):
            return run(options)

    return distributed


def trains(plan):
    """A program's `run` that trains the `Plan` of its options."""
    return on_devices(lambda options: programs.train(plan(options)))
