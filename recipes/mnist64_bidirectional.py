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
    add = parser.add_argument
    add(
        "--data-dir",
        help="folder with IDX files or a prepared TensorFlow Datasets "
        "folder; none: TensorFlow Datasets downloads",
    )
    add("--lpips", metavar="FILE", help="LPIPS' weights for stage 1")
    add(
        "--start-from",
        metavar="RUN",
        help="folder of an earlier run whose tokenizer is used as it is and "
        "whose generator is trained on",
    )
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


def run(options):
    recipe = mnist64.recipe_of(options)
    earlier = options.start_from and pathlib.Path(options.start_from)
    task = mnist64.MNIST64Task(
        data_dir=options.data_dir, seed=options.seed, **recipe.task
    )
    plan = programs.Plan(
        task,
        tokenizer=str(earlier / "tokenizer") if earlier else recipe.tokenizer,
        generator=recipe.generator if options.stages == "both" else None,
        start_tokenizer=options.start_tokenizer,
        start_generator=str(earlier / "model") if earlier else None,
        lpips=options.lpips,
        jit=recipe.jit,
        program=pathlib.Path(__file__).name,
        **programs.run_settings(options, options.preset),
    )
    programs.train(plan)


main = wiring.program(wiring.on_devices(run), parse)

if __name__ == "__main__":
    sys.exit(main())
