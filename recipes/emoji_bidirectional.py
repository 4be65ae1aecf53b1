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
    programs.add_start(parser)
    add = parser.add_argument
    add("--data-dir", required=True, help="folder with emoji.csv")
    add(
        "--size",
        choices=emoji.SIZES,
        default="small",
        help="smoke: to see that it runs; small: an hour of 2 CPU cores; "
        "preset: what bidalle-emoji is trained with",
    )
    programs.add_settings(
        parser,
        "PLACE=VALUE",
        "changes a setting, such as tokenizer.steps=1000, "
        "generator.width=128 or task.evaluation_pictures=50",
    )
    add(
        "--tokenizer",
        metavar="PRESET",
        help="image tokenizer that is used as it is",
    )
    return parser.parse_args(arguments)


def plan(options):
    recipe = emoji.Recipe.of_size(options.size)
    for text in options.set:
        recipe.change(*parse_setting(text))
    task = emoji.EmojiTask(options.data_dir, seed=options.seed, **recipe.task)
    return programs.plan_of(
        options,
        task,
        recipe,
        f"emoji-{options.size}",
        tokenizer=options.tokenizer or recipe.tokenizer,
        program=pathlib.Path(__file__).name,
    )


main = wiring.program(wiring.trains(plan), parse)

if __name__ == "__main__":
    sys.exit(main())
