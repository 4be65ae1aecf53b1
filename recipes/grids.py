"""Grids of small runs, each of which leaves one JSON file.

A program gives its cells: objects with a `name`, `plan(options, folder)`, the
`Plan` of a run, and `result(options, folder, task)`, what a finished run has to
say, as JSON values.
Runs go on where they were killed; what has left its file is not run again;
they may go in any order and place.
"""

import json
import pathlib
import time

import wiring  # isort: split

from keras_bidalle import programs
from keras_bidalle.files import atomic_path
from keras_bidalle.sampling.settings import IMAGE_TO_TEXT, TEXT_TO_IMAGE
from keras_bidalle.tasks.mnist64.pictures import SPLITS


def parser(doc, names, home):
    """The options that all such programs have.

    Args:
        doc: str, what the program does.
        names: list of str, of all cells.
        home: str, the folder of runs and of results if none is given.
    """
    parser = wiring.make_parser(doc)
    add = parser.add_argument
    add("--output", default=f"runs/{home}", help="folder of the runs")
    add(
        "--results",
        type=pathlib.Path,
        default=pathlib.Path("docs/results") / home,
        help=f"folder of what runs leave (default: docs/results/{home})",
    )
    add("--only", nargs="+", metavar="RUN", choices=names, default=names)
    add("--limit", type=int, help="end after so many runs")
    add("--plan", action="store_true", help="print what is left, run nothing")
    add(
        "--table",
        action="store_true",
        help="print what came out so far, run nothing",
    )
    return parser


def run(options, cells, table):
    """Runs what is left of a grid, or prints what there is.

    Args:
        options: as `parser` has them.
        cells: list of cells.
        table: function of the results and their folder; prints them.
    """
    wiring.check_counts(limit=options.limit)
    if options.table:
        table(results_in(options.results), options.results)
        return
    left = [
        cell
        for cell in cells
        if cell.name in options.only
        and not (options.results / f"{cell.name}.json").exists()
    ]
    if options.plan:
        print("\n".join(cell.name for cell in left) or "nothing is left")
        return
    for cell in left[: options.limit]:
        print(f"=== {cell.name}", flush=True)
        folder = pathlib.Path(options.output) / cell.name
        options.results.mkdir(parents=True, exist_ok=True)
        plan = cell.plan(options, folder)
        _train(plan, folder)
        result = {**cell.result(options, folder, plan.task), **_costs(folder)}
        with atomic_path(options.results / f"{cell.name}.json") as path:
            path.write_text(json.dumps(result, indent=1) + "\n")


def _train(plan, folder):
    """Trains what is left of a run, and adds up its time."""
    began = time.process_time()
    try:
        programs.train(plan)
    finally:
        # Also when a signal ends the run, which then goes on another time.
        spent = _costs(folder)["cpu_minutes"]
        spent += (time.process_time() - began) / 60
        with atomic_path(folder / "cpu_minutes.json") as path:
            path.write_text(json.dumps(spent))


def _costs(folder):
    clock = folder / "cpu_minutes.json"
    spent = json.loads(clock.read_text()) if clock.exists() else 0.0
    return {"cpu_minutes": round(spent, 2)}


def read(folder, name):
    """A JSON file of a run."""
    return json.loads((folder / name).read_text())


def accuracies(metrics):
    """Right clauses of a run of MNIST64: dict from direction and split."""
    return {
        f"{direction}, {split}": metrics[split][direction]["overall"][
            "accuracy"
        ]
        for direction, split in accuracy_names()
        if split in metrics
    }


def accuracy_names():
    """Both directions, each with the splits that training did not see."""
    directions = (TEXT_TO_IMAGE, IMAGE_TO_TEXT)
    return [(way, split) for way in directions for split in SPLITS[1:]]


def results_in(folder):
    """The results of all runs that are there: a list of dicts.

    Raises:
        ValueError: if there are none, or they were made with settings that
            differ.
    """
    files = sorted(folder.glob("*.json"))
    results = [json.loads(file.read_text()) for file in files]
    if not results:
        raise ValueError(f"{folder} has no results yet.")
    for file, result in zip(files, results, strict=True):
        if result["settings"] != results[0]["settings"]:
            raise ValueError(
                f"{file} was made with other settings than {files[0]}: they "
                "do not belong into one table."
            )
    return results
