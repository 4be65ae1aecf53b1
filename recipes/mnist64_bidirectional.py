"""From digits to both directions: the main program of keras_bidalle.

    python recipes/mnist64_bidirectional.py --data-dir path/to/mnist

Makes the MNIST64 task, trains a TE-VQGAN, trains a bidirectional generator
on its codes, generates images from captions and captions from images,
measures both, and leaves everything a person would want to look at in
`runs/<name>/`.
"""

import pathlib
import sys

import wiring  # isort: split

from keras_bidalle import programs
from keras_bidalle.tasks import mnist64


def parse(arguments=None):
    parser = wiring.make_parser(__doc__)
    mnist64.add_options(parser)
    programs.add_run(parser, name="the preset's")
    programs.add_start(parser)
    add = parser.add_argument
    add(
        "--data-dir",
        help="folder with IDX files or a prepared TensorFlow Datasets "
        "folder; none: TensorFlow Datasets downloads",
    )
    add("--lpips", metavar="FILE", help="LPIPS' weights for stage 1")
    add(
        "--start-tokenizer",
        metavar="PRESET",
        help="tokenizer whose weights stage 1 starts from",
    )
    add(
        "--stages",
        choices=("both", "tokenizer"),
        default="both",
        help="tokenizer: stop after stage 1",
    )
    return parser.parse_args(arguments)


def plan(options):
    recipe = mnist64.recipe_of(options)
    task = mnist64.MNIST64Task(
        data_dir=options.data_dir, seed=options.seed, **recipe.task
    )
    return programs.plan_of(
        options,
        task,
        recipe,
        options.preset,
        generator=recipe.generator if options.stages == "both" else None,
        start_tokenizer=options.start_tokenizer,
        lpips=options.lpips,
        program=pathlib.Path(__file__).name,
    )


main = wiring.program(wiring.trains(plan), parse)

if __name__ == "__main__":
    sys.exit(main())
