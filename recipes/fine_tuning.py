r"""Tunes a model for fifty pictures of yours, and shows what that is worth.

    python recipes/fine_tuning.py photos --start-from bidalle-mnist

Trains twice on the same pictures, codes and steps: from the model's weights,
and from none. Each run is that of `keras-bidalle train`, with its report;
`fine_tuning.json` has both runs' figures of the held-out pictures. What is not
known here is passed on, such as --captions FILE.
"""

import json
import pathlib
import sys

import wiring  # isort: split

from keras_bidalle.commands import train
from keras_bidalle.files import atomic_path

RUNS = {"tuned": [], "from-nothing": ["--codes-only"]}


def parse(arguments=None):
    parser = wiring.make_parser(__doc__)
    add = parser.add_argument
    add("folder", metavar="FOLDER", help="captioned pictures")
    add("--start-from", required=True, metavar="PRESET", help="the model")
    add("--steps", type=int, default=300, help="of each run (default: 300)")
    wiring.add_output(parser, "runs/fine-tuning")
    options, options.further = parser.parse_known_args(arguments)
    return options


def run(options):
    figures = {}
    for name, further in RUNS.items():
        train.run(
            train.parse(
                [
                    options.folder,
                    *("--start-from", options.start_from),
                    *("--steps", str(options.steps), "--name", name),
                    *("--output", str(options.output)),
                    *further,
                    *options.further,
                ]
            )
        )
        figures[name] = figures_of(options.output / name)
    told = options.output / "fine_tuning.json"
    with atomic_path(told) as temporary:
        temporary.write_text(json.dumps(figures, indent=2) + "\n")
    for name, row in figures.items():
        cells = ", ".join(f"{key} {value:.4g}" for key, value in row.items())
        print(f"{name}: {cells}")
    print(f"see {told}")


def figures_of(folder: pathlib.Path):
    """Of a run: the held-out loss at its end, its minutes, the report's."""
    metrics = json.loads((folder / "metrics.json").read_text())
    training = metrics["generator_training"]
    found = {key: training[key] for key in training if key.startswith("val_")}
    file = folder / "evaluation" / "evaluation.json"
    if not file.is_file():  # Nothing is held out, or can be judged by.
        return {"minutes": metrics["minutes"], **found}
    report = json.loads(file.read_text())
    for direction in ("text_to_image", "image_to_text"):
        for label, row in report["figures"].get(direction, {}).items():
            found[f"{direction}, {label}"] = row["value"]
    return {"minutes": metrics["minutes"], **found}


main = wiring.program(run, parse)

if __name__ == "__main__":
    sys.exit(main())
