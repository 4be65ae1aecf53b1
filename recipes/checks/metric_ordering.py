r"""Do distances of real features grow with the damage that is done?

    python recipes/checks/metric_ordering.py --images photos --count 200

Noise, blur and shift of growing strength are laid on pictures, and each
changed set is compared with the pictures themselves. Prints a table and
exits with 1 where a figure does not grow with the strength.
"""

import pathlib
import sys

# The programs' own modules lie a folder higher.
sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))

import wiring  # isort: split

import numpy as np

from keras_bidalle import metrics, programs
from keras_bidalle.evaluation import Examples, open_extractor
from keras_bidalle.evaluation.directions import blurred

STRENGTHS = {
    "noise, deviation of 255": (4, 12, 36),
    "blur, pixels": (0.5, 1.0, 2.0),
    "shift, pixels": (1, 4, 12),
}


def changed(images, kind, strength):
    """The images with one kind of damage."""
    if kind.startswith("noise"):
        rng = np.random.default_rng(0)
        noise = rng.normal(0, strength, images.shape)
        return np.clip(np.rint(images + noise), 0, 255).astype("uint8")
    if kind.startswith("blur"):
        return blurred(images, strength)
    return np.roll(images, strength, axis=(1, 2))


def parse(arguments):
    parser = wiring.make_parser(__doc__)
    programs.add_source(parser)
    add = parser.add_argument
    add("--count", type=int, default=200, help="pictures (default: 200)")
    add("--size", type=int, default=64, help="their side (default: 64)")
    add("--seed", type=int, default=0, help="of the pictures (default: 0)")
    add("--lite0-weights", metavar="FILE", help="of the extractor")
    return parser.parse_args(arguments)


def run(options):
    source = programs.source_of(options, captions=False)
    shape = (options.size, options.size, 3)
    examples = Examples(source, shape, options.count, options.seed)
    images = examples.read(range(len(examples))).images
    extractor = open_extractor("efficientnet_lite0", options.lite0_weights)
    real = extractor(images).features
    print(f"{len(images)} pictures of {source.description}")
    print("| change | strength | frechet | kernel x 1000 |\n|---|---|---|---|")
    wrong = 0
    for kind, strengths in STRENGTHS.items():
        last = (0.0, -np.inf)
        for strength in strengths:
            fake = extractor(changed(images, kind, strength)).features
            figures = (
                metrics.frechet_distance(real, fake),
                metrics.kernel_distance(real, fake)[0],
            )
            frechet, kernel = figures
            print(
                f"| {kind} | {strength:g} | {frechet:.2f} | "
                f"{1000 * kernel:.2f} |",
                flush=True,
            )
            wrong += sum(a <= b for a, b in zip(figures, last, strict=True))
            last = figures
    return 1 if wrong else 0


main = wiring.program(run, parse)

if __name__ == "__main__":
    sys.exit(main())
