r"""Draws images of captions.

    keras-bidalle draw "red 3 on the upper left ." "the number is green 7 ."
    keras-bidalle draw "a red bird" --model runs/birds --samples 4

Each image is written by itself (`<caption>-<sample>.png`, both counted from
0) and all of them in `grid.png`. Caption number i is drawn with seed
`--seed` + i. A model of classes takes their names, or numbers, for captions.
"""

import argparse
import pathlib

from keras_bidalle import programs
from keras_bidalle.commands.generation import (
    Generation,
    add_generation,
    default_preset,
)


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """The options of a command line."""
    parser = programs.make_parser(__doc__, "keras-bidalle draw")
    add = parser.add_argument
    add("captions", nargs="+", metavar="CAPTION")
    add_model(parser)
    add("--output", default="drawn", type=pathlib.Path, help="(default: drawn)")
    add_generation(parser)
    return parser.parse_args(arguments)


def add_model(parser: argparse.ArgumentParser) -> None:
    """Adds the option that names the model."""
    parser.add_argument(
        "--model",
        default=default_preset(),
        help="a TextImageModel's preset, or the folder of a run (default: "
        "%(default)s)",
    )


def run(options: argparse.Namespace) -> int:
    """Draws; returns the exit status, 1 where a caption was refused."""
    generation = Generation(options.model, options)
    return min(1, generation.draw(options.captions, options.output))
