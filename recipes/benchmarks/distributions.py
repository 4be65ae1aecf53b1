"""Speed of training: what synchronizing costs, and what a process more gives.

Prints JSON with two parts. `overhead`: milliseconds of a step of one replica,
with a stock optimizer, with one that the library has looked at
(`synchronized`), and with one made for several replicas of which one is left
(`wrapped`), step by step in turn, medians. `throughput`: images a second of
one process held to one core, and of two processes on a core each that share
the same global batch.

    python recipes/benchmarks/distributions.py
    KERAS_BACKEND=jax python recipes/benchmarks/distributions.py
    python recipes/benchmarks/distributions.py --ways horovod --cores 2 3

Nothing else may run on those cores.
"""

import argparse
import importlib.util
import itertools
import json
import os
import pathlib
import statistics
import sys
import tempfile
import time

from keras_bidalle import programs
from keras_bidalle.training.distributions.launching import start_processes

# name: (backend, distribution, processes).
WAYS = {
    "multiworker": ("tensorflow", "multiworker", 2),
    "horovod": ("tensorflow", "horovod", 2),
    "data_parallel": ("jax", "data_parallel", 2),
}


def main():
    options = parse()
    if options.work:
        return work(options)
    # Before TensorFlow or JAX counts them.
    os.sched_setaffinity(0, options.cores[:1])
    report = {
        "backend": options.backend,
        "batch_size": options.batch_size,
        "cores": options.cores,
        "overhead": overhead(options),
        "throughput": throughput(options),
    }
    print(json.dumps(report, indent=2))


def parse():
    parser = programs.make_parser(__doc__)
    backend = os.environ.get("KERAS_BACKEND", "tensorflow")
    ways = [way for way in WAYS if WAYS[way][0] == backend]
    if importlib.util.find_spec("horovod") is None:
        ways = [way for way in ways if way != "horovod"]
    add = parser.add_argument
    add("--ways", nargs="*", choices=ways, default=ways, help="(default: all)")
    add("--cores", nargs=2, type=int, default=(0, 1), help="(default: 0 1)")
    add("--batch-size", type=int, default=64)
    add("--steps", type=int, default=10, help="between two timestamps")
    add("--rounds", type=int, default=20, help="of timestamps, or of turns")
    add("--work", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.backend = backend
    return options


def build(**kwargs):
    """A tokenizer, to be compiled."""
    import keras

    from keras_bidalle import image_tokenizers, quantizers

    keras.utils.set_random_seed(0)
    model = image_tokenizers.PatchVQGAN(
        quantizers.EMAVectorQuantizer(num_codes=128, code_dim=64, seed=0),
        image_shape=(64, 64, 3),
        channels=64,
        hidden_channels=64,
    )
    optimizer = keras.optimizers.Adam(1e-3, global_clipnorm=1.0)
    model.compile(optimizer, **kwargs)
    return model


def pictures(rows):
    import numpy as np

    rng = np.random.default_rng(0)
    return rng.uniform(-1, 1, (rows, 64, 64, 3)).astype("float32")


def overhead(options):
    """Times a step of each of three optimizers in turn."""
    import keras
    import measuring

    from keras_bidalle.backend import replicas
    from keras_bidalle.backend.optimizers import synchronized

    # Compiled alike: it is the optimizers that are compared.
    models = {
        name: build(jit_compile=True)
        for name in ("stock", "synchronized", "wrapped")
    }
    stock = models["stock"]
    stock.optimizer = keras.optimizers.Adam(1e-3, global_clipnorm=1.0)
    stock.optimizer.build(stock.trainable_variables)
    planned = replicas.planned
    # What a worker has of which the others have gone.
    replicas.planned = lambda: 2
    try:
        synchronized(models["wrapped"].optimizer)
    finally:
        replicas.planned = planned
    batch = pictures(options.batch_size)
    steps = {
        # Waits for the loss.
        name: lambda seed, model=model: model.train_on_batch(batch)
        for name, model in models.items()
    }
    measuring.in_turn(steps, 3)  # The first ones compile.
    medians = measuring.in_turn(steps, options.rounds)
    return {
        "milliseconds": {n: round(1e3 * t, 2) for n, t in medians.items()},
        "percent": {
            name: round(100 * (medians[name] / medians["stock"] - 1), 2)
            for name in ("synchronized", "wrapped")
        },
    }


def throughput(options):
    """Images a second: of one process, and of each way."""
    alone = speed("none", 1, options)
    report = {"one_process": round(alone, 1)}
    for way in options.ways:
        _, distribution, processes = WAYS[way]
        found = speed(distribution, processes, options)
        report[way] = round(found, 1)
        report[f"{way}_times_one_process"] = round(found / alone, 2)
    return report


def speed(distribution, processes, options):
    """Images a second of processes that share a batch."""
    with tempfile.TemporaryDirectory() as folder:
        file = os.path.join(folder, "seconds")
        command = [
            *(sys.executable, os.path.abspath(__file__)),
            *("--work", distribution, file),
            *("--cores", *map(str, options.cores)),
            *("--batch-size", str(options.batch_size)),
            *("--steps", str(options.steps), "--rounds", str(options.rounds)),
        ]
        running = start_processes(
            command,
            distribution,
            processes,
            {"KERAS_BACKEND": options.backend, "TF_CPP_MIN_LOG_LEVEL": "3"},
            stdout=sys.stderr,
            # All the machine's cores, of which each worker takes its own.
            preexec_fn=lambda: os.sched_setaffinity(0, options.cores),
        )
        failed = [process.wait() for process in running]
        if any(failed):
            sys.exit(f"Error: {distribution} ended with {failed}")
        seconds = map(float, pathlib.Path(file).read_text().split())
        each = statistics.median(seconds)
    return options.steps * options.batch_size / each


def work(options):
    """Trains as one of the processes; the first one writes its times."""
    name, file = options.work
    k = int(os.environ.get("HOROVOD_RANK") or os.environ["LOCAL_RANK"])
    os.sched_setaffinity(0, {options.cores[k]})
    import keras

    from keras_bidalle import data, training

    # At each epoch's end all steps are done.
    times = []
    clock = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: times.append(time.perf_counter())
    )
    with training.distribute(name).scope():
        model = build()
        batch = pictures(options.batch_size)
        model.fit(
            data.as_dataset(data.own_rows(lambda step: batch)),
            steps_per_epoch=options.steps,
            # The first one compiles.
            epochs=options.rounds + 1,
            shuffle=False,
            verbose=0,
            callbacks=[clock],
        )
    if k == 0:
        seconds = (str(b - a) for a, b in itertools.pairwise(times))
        pathlib.Path(file).write_text("\n".join(seconds))


if __name__ == "__main__":
    main()
