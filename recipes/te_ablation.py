"""Do orthogonal codes follow a digit that is moved? A grid of small runs.

The published tokenizer is not local: GroupNorm, attention and a zero-padded
decoder tell every code where it stands. It is trained here, narrowed, on the
MNIST64 task, with the orthogonality weight lambda = 10 against 0, over four
ways to halve a map and several seeds. With strided convolutions, the
published way, a generator of equal length and seed follows.

    python recipes/te_ablation.py --data-dir path/to/mnist --plan
    python recipes/te_ablation.py --data-dir path/to/mnist --limit 1
    python recipes/te_ablation.py --table

Each run goes on where it was killed, and leaves one JSON file in `--results`;
what has left one is not run again. Runs may go in any order and place.
"""

import dataclasses
import pathlib
import sys

import wiring  # isort: split

import grids
import te_ablation_table

from keras_bidalle import load, programs
from keras_bidalle.image_tokenizers.downsampling import DOWNSAMPLINGS
from keras_bidalle.tasks import mnist64

PUBLISHED = "strided_conv"
# Of the published configuration, what two cores cannot afford: its width, the
# length of both stages, LPIPS. The codebook keeps its size and its length,
# which must not be below the number of codes for them to be orthogonal. In so
# short a run it must start from data, and lost codes be moved: as published,
# both weights are left with a tenth of the codes, of which nearly all agree.
# The L1 loss, without LPIPS beside it, leaves all digits black that are not
# white: the likeliest value of each channel alone.
TOKENIZER = {
    "channels": 32,
    "steps": 1000,
    "reports": 4,
    "batch_size": 8,
    "learning_rate": 4e-4,
    "quantizer.kmeans_steps": 10,
    "quantizer.revival_steps": 100,
    "pixel_loss": "l2",
    "perceptual_weight": 0.0,
    "adversarial_weight": 0.0,
    "evaluate_every": 1,
}
GENERATOR = {
    "width": 128,
    "depth": 4,
    "num_heads": 2,
    "steps": 1000,
    "reports": 4,
    "learning_rate": 5e-3,
}
TASK = {
    "train_pictures": 8000,
    "evaluation_pictures": 40,
    "classifier_steps": 600,
    "crops": False,
}
HISTORY = {
    "psnr": "val_psnr",
    "equivariance": "val_translation_equivariance",
    "foreground": "val_foreground_translation_equivariance",
    "usage": "val_codebook_usage",
    "perplexity": "val_perplexity",
}


@dataclasses.dataclass(frozen=True)
class Run:
    """A cell of the grid."""

    downsampling: str
    orthogonality: float
    seed: int

    @property
    def name(self):
        return f"{self.downsampling}-{self.orthogonality:g}-{self.seed}"

    def recipe(self):
        """Both configurations and the task of the run."""
        recipe = mnist64.Recipe.preset("paper")
        recipe.generator = mnist64.Recipe.preset("small").generator
        places = {
            **{f"tokenizer.{name}": v for name, v in TOKENIZER.items()},
            **{f"generator.{name}": v for name, v in GENERATOR.items()},
            **{f"task.{name}": v for name, v in TASK.items()},
            "tokenizer.downsampling": self.downsampling,
            "tokenizer.quantizer.orthogonality": self.orthogonality,
            "tokenizer.quantizer.seed": self.seed,
        }
        for place, value in places.items():
            recipe.change(place, value)
        recipe.finish()
        return recipe

    def plan(self, options, folder):
        """What the run trains."""
        recipe = self.recipe()
        task = mnist64.MNIST64Task(
            data_dir=options.data_dir, seed=self.seed, **recipe.task
        )
        both = self.downsampling == PUBLISHED
        return programs.Plan(
            task,
            folder,
            recipe.tokenizer,
            recipe.generator if both else None,
            seed=self.seed,
            precision="bfloat16",
            resume=folder.exists(),
            program=pathlib.Path(__file__).name,
        )

    def result(self, options, folder, task):
        """What a finished run has to say; the first ones leave a picture."""
        if self.seed == 0 and self.downsampling == PUBLISHED:
            te_ablation_table.draw_places(
                load(folder / "tokenizer"),
                task.splits["unseen_instances"],
                options.results / f"places-{self.orthogonality:g}.png",
            )
        metrics = grids.read(folder, "metrics.json")
        figures = dict(metrics["tokenizer"])
        figures["read"] = figures.pop("reading")["accuracy"]
        del figures["code_shape"]
        figures |= grids.accuracies(metrics)
        return {
            **dataclasses.asdict(self),
            "settings": {
                "tokenizer": TOKENIZER,
                "generator": GENERATOR,
                "task": TASK,
            },
            "judge": metrics["classifier"],
            "figures": figures,
            "history": [
                {
                    "step": row["step"],
                    **{name: row[key] for name, key in HISTORY.items()},
                }
                for row in grids.read(folder, "tokenizer_history.json")
            ],
        }


def grid():
    """All runs: pairs of both weights side by side, the published way first."""
    return [
        Run(downsampling, orthogonality, seed)
        for downsampling in DOWNSAMPLINGS
        for seed in range(3 if downsampling == PUBLISHED else 2)
        for orthogonality in (10.0, 0.0)
    ]


def parse(arguments=None):
    parser = grids.parser(__doc__, [run.name for run in grid()], "te_ablation")
    parser.add_argument("--data-dir", help="as in mnist64_bidirectional.py")
    return parser.parse_args(arguments)


def run(options):
    grids.run(options, grid(), table)


def table(results, folder):
    te_ablation_table.draw(results, folder / "curves.png")
    print(te_ablation_table.text(results))


main = wiring.program(run, parse)

if __name__ == "__main__":
    sys.exit(main())
