"""Raster against permuted order of codes (RAR), on the MNIST64 task.

Generators of equal length and seed learn the codes of one image tokenizer,
either from the upper left to the lower right, or in random orders at first
and that one in the end. Both sample alike.

    python recipes/compare_orders.py --data-dir path/to/mnist --plan
    python recipes/compare_orders.py --data-dir path/to/mnist --limit 1
    python recipes/compare_orders.py --table

Each run goes on where it was killed, and leaves one JSON file in `--results`;
what has left one is not run again. Runs may go in any order and place.
"""

import dataclasses
import pathlib
import statistics
import sys
import time

import wiring  # isort: split

import grid_tables
import grids

from keras_bidalle import load, programs
from keras_bidalle.tasks import mnist64

TOKENIZER = "te-vqgan-mnist"
ORDERS = ("permuted", "raster")
SEEDS = 3
GENERATOR = {"steps": 700, "reports": 2}
TASK = {
    "train_pictures": 20_000,
    "evaluation_pictures": 100,
    "classifier_steps": 1000,
}
COLUMNS = {
    **{
        f"{way}, {split}": f"{way}, {split}".replace("_", " ")
        for way, split in grids.accuracy_names()
    },
    "sampling_ms": "ms of a picture, one at a time",
}


@dataclasses.dataclass(frozen=True)
class Run:
    """A cell of the grid."""

    order: str
    seed: int

    @property
    def name(self):
        return f"{self.order}-{self.seed}"

    def plan(self, options, folder):
        """What the run trains."""
        recipe = mnist64.Recipe.preset("small")
        places = {
            **{f"generator.{name}": v for name, v in GENERATOR.items()},
            **{f"task.{name}": v for name, v in TASK.items()},
            "generator.order": self.order,
        }
        for place, value in places.items():
            recipe.change(place, value)
        recipe.finish()
        return programs.Plan(
            mnist64.MNIST64Task(
                data_dir=options.data_dir, seed=self.seed, **recipe.task
            ),
            folder,
            TOKENIZER,
            recipe.generator,
            seed=self.seed,
            resume=folder.exists(),
            program=pathlib.Path(__file__).name,
        )

    def result(self, options, folder, task):
        """What a finished run has to say."""
        metrics = grids.read(folder, "metrics.json")
        figures = grids.accuracies(metrics)
        figures["sampling_ms"] = 1000 * sampling_seconds(load(folder / "model"))
        return {
            **dataclasses.asdict(self),
            "settings": {
                "tokenizer": TOKENIZER,
                "generator": GENERATOR,
                "task": TASK,
            },
            "judge": metrics["classifier"],
            "figures": figures,
        }


def sampling_seconds(model, rounds=7):
    """The median of the processor's seconds of a picture."""
    times = []
    for seed in range(rounds + 1):
        began = time.process_time()
        model.text_to_image("the number is green 7 .", seed=seed)
        times.append(time.process_time() - began)
    return statistics.median(times[1:])  # The first one compiles.


def grid():
    """All runs: pairs of both orders side by side."""
    return [Run(order, seed) for seed in range(SEEDS) for order in ORDERS]


def parse(arguments=None):
    names = [run.name for run in grid()]
    parser = grids.parser(__doc__, names, "orders")
    parser.add_argument("--data-dir", help="as in mnist64_bidirectional.py")
    return parser.parse_args(arguments)


def run(options):
    grids.run(options, grid(), table)


def table(results, folder):
    """Prints means, and permuted less raster with the same seed."""
    cells = grid_tables.by_seed(results, "order")
    print(grid_tables.spent(results), end="\n\n")
    print(grid_tables.means(cells, [order for (order,) in cells], COLUMNS))
    both = [cells.get((order,), {}) for order in ORDERS]
    rows = grid_tables.difference_rows(grid_tables.pairs(*both), COLUMNS)
    print(f"\n{grid_tables.differences('permuted less raster', rows)}")


main = wiring.program(run, parse)

if __name__ == "__main__":
    sys.exit(main())
