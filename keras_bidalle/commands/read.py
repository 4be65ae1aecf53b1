r"""Writes captions of images.

    keras-bidalle read photo.png folder
    keras-bidalle read photo.png --model runs/birds --samples 3

Captions are printed, one a line behind the image's path and a tab: the
likeliest words, or drawn ones where there are to be several.
"""

import argparse
import pathlib

from keras_bidalle import programs
from keras_bidalle.commands.draw import add_model
from keras_bidalle.commands.generation import Generation, add_generation


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """The options of a command line."""
    parser = programs.make_parser(__doc__, "keras-bidalle read")
    add = parser.add_argument
    add("pictures", nargs="+", metavar="PICTURE", help="files or folders")
    add_model(parser)
    add(
        "--output",
        type=pathlib.Path,
        help="folder where captions.json is written, too (default: none)",
    )
    add_generation(parser)
    return parser.parse_args(arguments)


def run(options: argparse.Namespace) -> int:
    """Reads; returns the exit status, 1 where a picture could not be read."""
    generation = Generation(options.model, options)
    return min(1, generation.read(options.pictures, options.output))
