"""Peak memory of a training step, with and without gradient checkpointing.

Trains a generator of 24 blocks for two steps in a fresh process each time,
on each backend, on the CPU, and prints JSON: the memory of the process
after the first step, which compiles, and at the peak of the second one, in
MB, and their difference, which is what a step takes. Runs on Linux.

    python recipes/benchmarks/memory.py
    python recipes/benchmarks/memory.py --backends jax --width 512
"""

import argparse
import gc
import json
import os
import subprocess
import sys

BACKENDS = ("tensorflow", "jax", "torch")
KINDS = ("plain", "checkpointed")


def measure(options):
    """Trains in this process. Returns a dict of figures."""
    import keras
    import measuring
    import numpy as np

    from keras_bidalle import generators
    from keras_bidalle.programs.measured_steps import made_rows

    keras.utils.set_random_seed(0)
    model = generators.BidirectionalTransformer(
        text_vocabulary_size=256,
        text_length=64,
        num_codes=256,
        code_shape=(16, 16),
        width=options.width,
        depth=options.depth,
        num_heads=options.width // 32,
        gradient_checkpointing=options.measure == "checkpointed",
    )
    model.compile(keras.optimizers.Adam(1e-3))
    model.optimizer.build(model.trainable_variables)
    batch = made_rows(model, options.batch_size)
    model.train_on_batch(batch)
    gc.collect()
    before = measuring.resident_memory() / 1e6
    measuring.reset_peak_memory()
    loss = model.train_on_batch(batch)
    after = measuring.memory.peak() / 1e6
    return {
        "before": round(before),
        "peak": round(after),
        "step": round(after - before),
        "parameters": model.count_params(),
        "loss": float(np.ravel(loss)[0]),
    }


def main():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--backends", nargs="+", choices=BACKENDS, default=BACKENDS)
    add("--depth", type=int, default=24)
    add("--width", type=int, default=128)
    add("--batch-size", type=int, default=8)
    add("--measure", choices=KINDS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(options)))
        return
    names = ("depth", "width", "batch_size")
    report = {name: getattr(options, name) for name in names}
    for backend in options.backends:
        rows = report[backend] = {}
        for kind in KINDS:
            done = subprocess.run(
                [sys.executable, os.path.abspath(__file__), *sys.argv[1:]]
                + ["--measure", kind],
                env={
                    **os.environ,
                    "KERAS_BACKEND": backend,
                    # The CPU's memory is what is measured.
                    "CUDA_VISIBLE_DEVICES": "",
                    # Else glibc keeps what was freed, in small pieces.
                    "MALLOC_MMAP_THRESHOLD_": "262144",
                },
                stdout=subprocess.PIPE,
                check=True,
            )
            rows[kind] = json.loads(done.stdout.decode().splitlines()[-1])
        rows["step_ratio"] = round(
            rows["checkpointed"]["step"] / rows["plain"]["step"], 3
        )
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
