"""Trains on two replicas and on one process, and compares the weights.

Each case (an image tokenizer, with or without a discriminator, or a
generator; and an optimizer) is trained for five steps by one process on
whole batches, and by two replicas on half of each batch, in every way this
machine can: two devices of one process, two processes, on TensorFlow, JAX
and, where it is installed, Horovod. Prints a table of the largest difference
of any weight, codebook, statistic or optimizer state, and of the replicas
from each other, and exits with an error where one is above the tolerance.

    python recipes/checks/compare_distributions.py
    python recipes/checks/compare_distributions.py --ways mirrored horovod \
        --cases 'ema/*' 'rq/*' --json distributions.json
"""

import argparse
import fnmatch
import importlib.util
import json
import os
import pathlib
import sys
import tempfile
import time

from keras_bidalle import programs
from keras_bidalle.messages import markdown_table
from keras_bidalle.training.distributions.launching import start_processes

TOLERANCE = 1e-5
# Of what must fail, one optimizer is enough.
STOCK_CASES = "*/adam-clipped"
# name: (backend, distribution, processes, devices in each). Each backend's
# first is what its others are compared with.
WAYS = {
    "tensorflow": ("tensorflow", "none", 1, 1),
    "mirrored": ("tensorflow", "mirrored", 1, 2),
    "multiworker": ("tensorflow", "multiworker", 2, 1),
    "horovod": ("tensorflow", "horovod", 2, 1),
    "horovod-stock": ("tensorflow", "horovod", 2, 1),
    "jax": ("jax", "none", 1, 1),
    "data_parallel": ("jax", "data_parallel", 1, 2),
    "data_parallel-2": ("jax", "data_parallel", 2, 1),
    "model_parallel": ("jax", "model_parallel", 1, 2),
}


def main(arguments=None):
    options = parse(arguments)
    if options.work:
        work(options)
        return 0
    from distribution_cases import names

    asked = {n for p in options.cases for n in fnmatch.filter(names(), p)}
    cases = [name for name in names() if name in asked]
    if not cases:
        print(f"Error: no case is named {options.cases}", file=sys.stderr)
        return 1
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for backend in ("tensorflow", "jax"):
            ways = [w for w in options.ways if WAYS[w][0] == backend]
            if not ways:
                continue
            launch(backend, cases, folder)
            reference = read(folder, backend, 0)
            for way in ways:
                stock = way == "horovod-stock"
                own = fnmatch.filter(cases, STOCK_CASES if stock else "*")
                if not own:
                    continue
                launch(way, own, folder)
                found = [read(folder, way, k) for k in range(WAYS[way][2])]
                rows += [compare(way, c, reference, found) for c in own]
                print(table(rows[-len(own) :]), flush=True)
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps(rows, indent=1))
    print(f"\n{overview(rows)}\n")
    as_expected = sum(row["as_expected"] for row in rows)
    print(f"{as_expected} of {len(rows)} as expected")
    return 0 if as_expected == len(rows) else 1


def parse(arguments):
    parser = programs.make_parser(__doc__)
    has_horovod = importlib.util.find_spec("horovod") is not None
    known = [way for way in WAYS if WAYS[way][1] != "none"]
    add = parser.add_argument
    add(
        "--ways",
        nargs="+",
        choices=known,
        default=[w for w in known if has_horovod or "horovod" not in w],
        help="horovod-stock is Horovod's own optimizer wrapper, of which it "
        "is shown that it does not train as one (default: all that can run)",
    )
    add("--cases", nargs="+", default=["*"], help="such as 'ema/*'")
    add("--json", metavar="FILE", help="writes the table")
    add("--work", nargs=3, help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def launch(way, cases, folder):
    """Runs one way's processes to their end."""
    backend, distribution, processes, devices = WAYS[way]
    command = [sys.executable, os.path.abspath(__file__), "--work"]
    command += [way, ",".join(cases), folder]
    environment = {"KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
    if backend == "jax":
        # Compiled in half of the time; computed is the same.
        environment["XLA_FLAGS"] = (
            f"--xla_force_host_platform_device_count={devices} "
            "--xla_backend_optimization_level=0 "
            "--xla_llvm_disable_expensive_passes=true"
        )
        environment["JAX_PLATFORMS"] = "cpu"
    began = time.monotonic()
    running = start_processes(command, distribution, processes, environment)
    failed = [process.wait() for process in running]
    print(f"{way}: {time.monotonic() - began:.0f} s", flush=True)
    if any(failed):
        raise SystemExit(f"Error: {way} ended with {failed}")


def work(options):
    """Trains the cases as one of the processes of a way."""
    way, cases, folder = options.work
    _, name, _, devices = WAYS[way]
    arguments = {}
    if name == "mirrored":
        import tensorflow as tf

        tf.config.set_logical_device_configuration(
            tf.config.list_physical_devices("CPU")[0],
            [tf.config.LogicalDeviceConfiguration()] * devices,
        )
        arguments["devices"] = [f"CPU:{k}" for k in range(devices)]
    import distribution_cases
    import keras
    import numpy as np

    from keras_bidalle import training

    distribution = training.distribute(name, **arguments)
    process = distribution.shard[0]
    arrays = {}
    for case in cases.split(","):
        # Names count from one again: variables are compared by theirs.
        keras.backend.clear_session(free_memory=False)
        with distribution.scope():
            wrap = stock_horovod if way == "horovod-stock" else None
            start, model = distribution_cases.train(case, wrap=wrap)
            # Horovod's wrapper does not give its variables under Keras 3.
            state = distribution_cases.state(model, of_optimizer=wrap is None)
            for key, values in state.items():
                arrays[f"{case}|{key}"] = values
            arrays[f"{case}|start"] = start
        print(f"{way} {process}: {case}", flush=True)
    np.savez(pathlib.Path(folder) / f"{way}-{process}.npz", **arrays)


def stock_horovod(optimizer):
    """Horovod's own wrapper, in place of ours."""
    import horovod.keras as hvd

    return hvd.DistributedOptimizer(
        type(optimizer).from_config(optimizer.get_config())
    )


def read(folder, way, process):
    import numpy as np

    with np.load(pathlib.Path(folder) / f"{way}-{process}.npz") as arrays:
        return dict(arrays)


def compare(way, case, reference, found):
    """One row of the table: a dict."""
    import numpy as np

    keys = [key for key in found[0] if key.startswith(f"{case}|")]
    keys.remove(f"{case}|start")
    difference, where, apart = 0.0, "", 0.0
    for key in keys:
        expected = reference[key][:1].astype("float64")
        # Every copy that any process holds.
        copies = np.concatenate([arrays[key] for arrays in found])
        gap = _largest(copies - expected)
        if gap > difference:
            difference, where = gap, key.split("|")[1]
        apart = max(apart, _largest(copies - copies[:1]))
    first = f"{case}|model.000"
    kernel = next(key for key in keys if key.startswith(first))
    moved = _largest(reference[kernel][0] - reference[f"{case}|start"])
    # The replicas' copies are one weight: not even rounding sets them apart.
    same = difference <= TOLERANCE and apart == 0 and moved > 1e-4
    return {
        "way": way,
        "case": case,
        "variables": len(keys),
        "largest_difference": difference,
        "in": where,
        "replicas_apart": apart,
        "moved": moved,
        "as_expected": same != (way == "horovod-stock"),
    }


def _largest(array):
    import numpy as np

    largest = float(np.max(np.abs(array), initial=0.0))
    return largest if np.isfinite(largest) else float("inf")


def table(rows):
    """One line for each row of the comparison, as Markdown."""
    columns = [name for name in rows[0] if name != "in"]
    return markdown_table(
        [name.replace("_", " ") for name in columns],
        [[_cell(row[name]) for name in columns] for row in rows],
    )


def _cell(value):
    if isinstance(value, bool):
        return "yes" if value else "NO"
    return f"{value:.1e}" if isinstance(value, float) else str(value)


def overview(rows):
    """The largest differences of all: a line a case, a column a way."""
    cells = {}
    for row in rows:
        mark = "" if row["as_expected"] else " NO"
        cell = f"{row['largest_difference']:.1e}{mark}"
        cells.setdefault(row["case"], {})[row["way"]] = cell
    ways = list(dict.fromkeys(row["way"] for row in rows))
    lines = [[case, *map(found.get, ways)] for case, found in cells.items()]
    return markdown_table(["case", *ways], lines)


if __name__ == "__main__":
    sys.exit(main())
