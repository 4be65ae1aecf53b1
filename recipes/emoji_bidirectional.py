"""From emoji and their names to both directions.

    tar -xzf emoji64.tar.gz -C emoji
    python recipes/emoji_bidirectional.py --data-dir emoji

Trains an image tokenizer on the 64x64 emoji of a folder that
`make_emoji_dataset.py` has made, and a bidirectional generator on its codes;
draws emoji from names and names emoji, by vendors and in combinations that it
has not seen, and measures both. Leaves everything in `runs/<name>/`.
"""

import pathlib
import sys

import wiring  # isort: split

from keras_bidalle import programs
from keras_bidalle.configurations import parse_setting
from keras_bidalle.tasks import emoji


def parse(arguments=None):
    parser = wiring.make_parser(__doc__)
    programs.add_run(parser, name="emoji-SIZE")
    add = parser.add_argument
    add("--data-dir", required=True, help="folder with emoji.csv")
    add(
        "--size",
        choices=emoji.SIZES,
        default="small",
        help="smoke: to see that it runs; small: an hour of 2 CPU cores; "
        "preset: what bidalle-emoji is trained with",
    )
    add(
        "--set",
        action="append",
        default=[],
        metavar="PLACE=VALUE",
        help="changes a setting, such as tokenizer.steps=1000, "
        "generator.width=128 or task.evaluation_pictures=50",
    )
    add(
        "--tokenizer",
        metavar="PRESET",
        help="image tokenizer that is used as it is",
    )
    add(
        "--start-from",
        metavar="RUN",
        help="folder of an earlier run whose tokenizer is used as it is and "
        "whose generator is trained on",
    )
    return parser.parse_args(arguments)


def run(options):
    recipe = emoji.Recipe.of_size(options.size)
    for text in options.set:
        recipe.change(*parse_setting(text))
    earlier = options.start_from and pathlib.Path(options.start_from)
    task = emoji.EmojiTask(options.data_dir, seed=options.seed, **recipe.task)
    tokenizer = str(earlier / "tokenizer") if earlier else options.tokenizer
    plan = programs.Plan(
        task,
        tokenizer=tokenizer or recipe.tokenizer,
        generator=recipe.generator,
        start_generator=str(earlier / "model") if earlier else None,
        jit=recipe.jit,
        program=pathlib.Path(__file__).name,
        **programs.run_settings(options, f"emoji-{options.size}"),
    )
    programs.train(plan)


main = wiring.program(wiring.on_devices(run), parse)

if __name__ == "__main__":
    sys.exit(main())
