"""What the benchmarks share: times, memory, and how fast the machine is."""

import concurrent.futures
import ctypes
import json
import os
import sys
import time

import keras
import numpy as np
from keras import ops

from keras_bidalle import programs
from keras_bidalle.backend.compiled import compiled
from keras_bidalle.programs import memory


def parser(description):
    """A parser of a benchmark's options, those that all have among them."""
    result = programs.make_parser(description)
    add = result.add_argument
    add("--rounds", type=int, default=5, help="calls to take medians of")
    add("--dtype", default="float32", help="policy, such as mixed_bfloat16")
    return result


def tell(**figures):
    """Prints a line of JSON."""
    print(json.dumps(figures), flush=True)


def seconds(function, *arguments):
    """How long a call takes, its result in NumPy's hands."""
    start = time.perf_counter()
    finish(function(*arguments))
    return time.perf_counter() - start


def finish(result):
    """Waits for what is still being computed."""
    if hasattr(result, "block_until_ready"):
        result.block_until_ready()
    return result


def timed(function, rounds):
    """Median of the seconds of a call, and the seconds of the first."""
    first = seconds(function)
    times = [seconds(function) for _ in range(max(rounds, 1))]
    return float(np.median(times)), first


def in_turn(functions, rounds):
    """Medians of the seconds of functions of a seed, taken in turn."""
    times = {name: [] for name in functions}
    order = list(functions)
    for seed in range(rounds):
        for name in order:
            times[name].append(seconds(functions[name], seed + 2))
        # What came first is not always first.
        order.append(order.pop(0))
    return {name: float(np.median(each)) for name, each in times.items()}


def machine_speed(dtype="float32", size=2048, megabytes=256):
    """Floating-point operations and bytes a second, at their best."""
    dtype = dtype.removeprefix("mixed_")
    matrix = ops.ones((size, size), dtype)
    product = compiled(lambda a, b: ops.matmul(a, b), [], xla=True)
    speed = 2 * size**3 / _best(lambda: _read_one(product(matrix, matrix)))
    if has_accelerator():
        array = ops.ones((megabytes * 250_000,), "float32")
        # Adding keeps a compiler from leaving the copy out.
        copy = compiled(lambda a: a + 1.0, [], xla=True)
        return speed, 8 * array.shape[0] / _best(lambda: _read_one(copy(array)))
    # By NumPy, into memory that is there already, on all cores.
    cores = len(os.sched_getaffinity(0))
    source = np.ones((cores, megabytes * 250_000 // cores), "float32")
    target = np.zeros_like(source)
    with concurrent.futures.ThreadPoolExecutor(cores) as pool:

        def copy():
            list(pool.map(np.copyto, target, source))

        return speed, 2 * source.nbytes / _best(copy)


def has_accelerator():
    """Whether the backend computes on anything but processors."""
    if keras.config.backend() == "torch":
        import torch

        return torch.cuda.is_available()
    return not keras.distribution.list_devices()[0].startswith("cpu")


def _best(function):
    function()
    return min(seconds(function) for _ in range(5))


def _read_one(tensor):
    # On accelerators the call returns before the work is done.
    return ops.convert_to_numpy(tensor[(0,) * len(tensor.shape)])


def resident_memory():
    """Bytes of memory that this process holds."""
    reset_peak_memory()
    return memory.peak()


def reset_peak_memory():
    """Forgets the largest memory so far, where the system can (Linux)."""
    if sys.platform.startswith("linux"):
        # What was freed goes back to the system, as it would in time.
        ctypes.CDLL(None).malloc_trim(0)
    memory.forget_peak()
