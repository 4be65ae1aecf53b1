"""Quantizers beside each other, at equal bits a code and equal steps.

A local tokenizer of 64x64 pictures, 16x16 places of 10 bits, is trained with
one quantizer after the other, on the MNIST64 task with three seeds and on the
emoji task with one; all else is equal.

    python recipes/compare_quantizers.py --plan
    python recipes/compare_quantizers.py --data-dir MNIST --emoji-dir EMOJI
    python recipes/compare_quantizers.py --table

Each run goes on where it was killed, and leaves one JSON file in `--results`;
what has left one is not run again. Runs may go in any order and place.
"""

import dataclasses
import pathlib
import sys
import time

import wiring  # isort: split

import grid_tables
import grids
import keras
import numpy as np

from keras_bidalle import load, programs, quantizers
from keras_bidalle.configurations import serialized
from keras_bidalle.tasks import emoji, mnist64

K, C = 1024, 64
STARTED = {"kmeans_steps": 10, "revival_steps": 100}
VQ = quantizers.VectorQuantizer
# By name: the class, and what is not its default.
QUANTIZERS = {
    "VQ, as published": (VQ, {}),
    "VQ, started": (VQ, STARTED),
    "VQ, rotation": (VQ, {**STARTED, "gradient": "rotation"}),
    "VQ, DiVeQ": (VQ, {**STARTED, "gradient": "diveq"}),
    "VQ, cosine of 8": (
        VQ,
        {**STARTED, "code_dim": 8, "input_dim": C, "normalize": True},
    ),
    "orthogonal": (quantizers.OrthogonalVectorQuantizer, STARTED),
    "EMA": (quantizers.EMAVectorQuantizer, {}),
    "restarting": (quantizers.RestartingVectorQuantizer, {}),
    "SimVQ": (quantizers.SimVQ, {}),
    "IBQ": (quantizers.IBQ, {}),
    "Gumbel": (quantizers.GumbelQuantizer, {"kl_weight": 2e-3}),
    "FSQ": (quantizers.FSQ, {"levels": [4, 4, 4, 4, 4]}),
    "LFQ": (quantizers.LFQ, {"code_dim": 10}),
    "BSQ": (quantizers.BSQ, {"code_dim": 10}),
    "residual, 2 of 5 bits": (quantizers.ResidualQuantizer, None),
}
# Those without a codebook whose size is given.
WITHOUT_SIZE = (quantizers.FSQ, quantizers.LFQ, quantizers.BSQ)
SEEDS = {"mnist64": 3, "emoji": 1}
EXTRACTOR = "efficientnet_lite0"
TRAINING = {
    "steps": 400,
    "reports": 1,
    "evaluate_every": 1,
    "batch_size": 32,
    "learning_rate": 2e-3,
    "pixel_loss": {"l2": 1.0, "l1": 0.2},
    "extractors": [EXTRACTOR],
    "judged_images": 500,
}
# Nothing is read, and nothing but a tokenizer trained.
TASKS = {
    "mnist64": {"classifier_steps": 1, "evaluation_pictures": 100},
    "emoji": {"classifier_steps": 1, "patch_start": False},
}
HISTORY = {
    "psnr": "val_psnr",
    "usage": "val_codebook_usage",
    "perplexity": "val_perplexity",
    "frechet": f"val_frechet_{EXTRACTOR}",
}
COLUMNS = {
    "psnr": "PSNR, dB",
    "frechet": "Frechet, EfficientNet-Lite0",
    "usage": "codes in use",
    "perplexity": "perplexity",
    "step_ms": "ms a step",
}


def quantizer_of(name, seed):
    """The configuration of a quantizer."""
    cls, more = QUANTIZERS[name]
    size = {"num_codes": K, "code_dim": C, "seed": seed}
    if cls is quantizers.ResidualQuantizer:
        part = serialized(
            quantizers.EMAVectorQuantizer, {**size, "num_codes": 32}
        )
        more = {"quantizer": part, "code_depth": 2, "shared": False}
    elif cls not in WITHOUT_SIZE:
        more = {**size, **more}
    return serialized(cls, more)


@dataclasses.dataclass(frozen=True)
class Run:
    """A cell of the grid."""

    task: str
    quantizer: str
    seed: int

    @property
    def name(self):
        words = self.quantizer.replace(",", "").replace(" ", "-").lower()
        return f"{self.task}-{words}-{self.seed}"

    def plan(self, options, folder):
        """What the run trains."""
        if self.task == "emoji":
            recipe, cls = emoji.Recipe.of_size("small"), emoji.EmojiTask
            data_dir = options.emoji_dir
        else:
            recipe, cls = mnist64.Recipe.preset("small"), mnist64.MNIST64Task
            data_dir = options.data_dir
        for name, value in TASKS[self.task].items():
            recipe.change(f"task.{name}", value)
        # All that a task sets for its own tokenizer is left behind.
        recipe.tokenizer = mnist64.Recipe.preset("small").tokenizer
        recipe.tokenizer.arguments["quantizer"] = quantizer_of(
            self.quantizer, self.seed
        )
        for name, value in TRAINING.items():
            recipe.change(f"tokenizer.{name}", value)
        return programs.Plan(
            cls(data_dir=data_dir, seed=self.seed, **recipe.task),
            folder,
            recipe.tokenizer,
            seed=self.seed,
            precision="float32",
            resume=folder.exists(),
            program=pathlib.Path(__file__).name,
        )

    def result(self, options, folder, task):
        """What a finished run has to say."""
        *_, last = grids.read(folder, "tokenizer_history.json")
        figures = {name: float(last[key]) for name, key in HISTORY.items()}
        figures["step_ms"] = 1000 * step_seconds(load(folder / "tokenizer"))
        return {
            **dataclasses.asdict(self),
            "settings": {"training": TRAINING, "tasks": TASKS},
            "figures": figures,
        }


def step_seconds(tokenizer, steps=4, rounds=5):
    """The median of the processor's seconds of a training step."""
    rng = np.random.default_rng(0)
    size = TRAINING["batch_size"]
    images = rng.integers(
        256, size=(steps * size, *tokenizer.image_shape), dtype="uint8"
    )
    tokenizer.compile(keras.optimizers.AdamW(1e-5))
    times = []
    for _ in range(rounds + 1):
        began = time.process_time()
        tokenizer.fit(images, batch_size=size, verbose=0)
        times.append((time.process_time() - began) / steps)
    return float(np.median(times[1:]))  # The first one builds.


def grid():
    """All runs, seed by seed."""
    return [
        Run(task, quantizer, seed)
        for task, seeds in SEEDS.items()
        for seed in range(seeds)
        for quantizer in QUANTIZERS
    ]


def parse(arguments=None):
    names = [run.name for run in grid()]
    parser = grids.parser(__doc__, names, "quantizers")
    add = parser.add_argument
    add("--data-dir", help="as in mnist64_bidirectional.py")
    add("--emoji-dir", help="--data-dir of emoji_bidirectional.py")
    return parser.parse_args(arguments)


def run(options):
    cells = grid()
    if options.emoji_dir is None and not (options.table or options.plan):
        options.only = [n for n in options.only if n.startswith("mnist64")]
        print("without --emoji-dir: the runs on MNIST64 alone", flush=True)
    grids.run(options, cells, table)


def table(results, folder):
    """Prints a table for each task."""
    print(grid_tables.spent(results))
    for task in SEEDS:
        cells = grid_tables.by_seed(
            [found for found in results if found["task"] == task], "quantizer"
        )
        cells = {
            (name,): cells[name,] for name in QUANTIZERS if (name,) in cells
        }
        if cells:
            titles = [name for (name,) in cells]
            print(f"\n{task}\n")
            print(grid_tables.rows(cells, titles, COLUMNS))


main = wiring.program(run, parse)

if __name__ == "__main__":
    sys.exit(main())
