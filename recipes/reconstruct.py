r"""Shows what an image tokenizer makes of images of yours.

    python recipes/reconstruct.py te-vqgan-mnist photo.jpg folder \
        --output reconstructions

Writes, for each image, one with the original, its middle scaled to the
tokenizer's size, to the left and the reconstruction to the right, and all
side by side in `grid.png`. An image that cannot be read is reported in one
line, and the rest goes on; the exit status is then 1.
"""

import sys

import wiring  # isort: split

import numpy as np

from keras_bidalle import load, training
from keras_bidalle.validation import as_uint8_images

GRID, GRID_PICTURES = "grid", 64


def parse(arguments):
    parser = wiring.make_parser(__doc__)
    add = parser.add_argument
    add("preset", help="the tokenizer, or a model, as `load` opens it")
    add("pictures", nargs="+", help="pictures, or folders of them")
    wiring.add_output(parser, "reconstructions")
    add("--depth", type=int, help="of an RQ-VAE: codes a place (default: all)")
    add("--batch-size", type=int, default=16, help="at once (default: 16)")
    return parser.parse_args(arguments)


def run(options):
    wiring.check_counts(batch_size=options.batch_size)
    tokenizer = wiring.image_tokenizer_of(load(options.preset))
    inputs = wiring.PictureInputs(options.pictures, reserved=(GRID,))
    shown, written, size = [], 0, options.batch_size
    for batch in inputs.batches(size, tokenizer.image_shape):
        _, names, originals = zip(*batch, strict=True)
        reconstructions = tokenizer.reconstruct(
            np.stack(originals), batch_size=size, depth=options.depth
        )
        reconstructions = as_uint8_images(reconstructions)
        rows = zip(names, originals, reconstructions, strict=True)
        for name, original, made in rows:
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
    return 1 if inputs.failed else 0


main = wiring.program(run, parse)

if __name__ == "__main__":
    sys.exit(main())
