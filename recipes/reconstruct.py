r"""Shows what an image tokenizer makes of images of yours.

    python recipes/reconstruct.py te-vqgan-mnist photo.jpg folder \
        --output reconstructions

Writes, for each image, one with the original, its middle scaled to the
tokenizer's size, to the left and the reconstruction to the right, and all
side by side in `grid.png`. An image that cannot be read is reported in one
line, and the rest goes on; the exit status is then 1.
"""

import itertools
import pathlib
import sys

import wiring  # isort: split

import numpy as np

from keras_bidalle import load, training
from keras_bidalle.validation import as_uint8_images

GRID, GRID_PICTURES = "grid", 64


def parse(arguments):
    parser = wiring.make_parser(__doc__)
    parser.add_argument(
        "preset",
        help="the tokenizer: a name or folder that `keras_bidalle.load` "
        "opens, of a TextImageModel too",
    )
    parser.add_argument(
        "pictures", nargs="+", help="pictures, or folders of them"
    )
    parser.add_argument(
        "--output",
        default="reconstructions",
        type=pathlib.Path,
        help="folder to write (default: reconstructions)",
    )
    parser.add_argument(
        "--depth",
        type=int,
        help="of an RQ-VAE: of how many codes a place (default: all)",
    )
    parser.add_argument(
        "--batch-size",
        type=int,
        default=16,
        help="pictures at once (default: 16)",
    )
    return parser.parse_args(arguments)


def run(options):
    wiring.check_counts(batch_size=options.batch_size)
    tokenizer = wiring.image_tokenizer_of(load(options.preset))
    files, failed = wiring.picture_inputs(options.pictures, reserved=(GRID,))
    opened = wiring.open_images(files, tokenizer.image_shape)
    shown, written = [], 0
    while batch := list(itertools.islice(opened, options.batch_size)):
        failed += sum(pixels is None for _, pixels in batch)
        batch = [row for row in batch if row[1] is not None]
        if not batch:
            continue
        originals = np.stack([pixels for _, pixels in batch])
        reconstructions = as_uint8_images(
            tokenizer.reconstruct(
                originals, batch_size=options.batch_size, depth=options.depth
            )
        )
        for (name, original), made in zip(batch, reconstructions, strict=True):
            pair = training.comparison_grid(original[None], made[None])
            training.save_png(options.output / f"{name}.png", pair)
            if len(shown) < GRID_PICTURES:
                shown.append((original, made))
            written += 1
    if shown:
        originals, made = map(np.stack, zip(*shown, strict=True))
        training.save_png(
            options.output / f"{GRID}.png",
            training.comparison_grid(originals, made),
        )
        print(
            f"{written} pictures in {options.output}; {GRID}.png has the "
            f"first {len(shown)}"
        )
    return 1 if failed else 0


main = wiring.program(run, parse)

if __name__ == "__main__":
    sys.exit(main())
