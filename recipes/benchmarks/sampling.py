r"""How fast models draw codes and write captions, beside what is possible.

Prints JSON, one line for each configuration, direction and batch size, each
measured in a process of its own on the backend of KERAS_BACKEND, with random
weights:

    KERAS_BACKEND=jax python recipes/benchmarks/sampling.py gpt-8x512 \
        --against keras_hub transformers
    KERAS_BACKEND=jax python recipes/benchmarks/sampling.py bidalle rq
    KERAS_BACKEND=jax python recipes/benchmarks/sampling.py rq-1.4b vq-1.4b \
        --dtype bfloat16                                       # on a GPU

Times are medians of `--rounds` calls after the one that compiles, in ms a
sample; with `--against`, other libraries' times are taken in turn with ours,
and `times_ours` is how many times as long they take. The limit is what
the arithmetic alone would take, in ms a sample:

    (prompt + new * (max(weights / bandwidth, products / speed)
                     + caches / bandwidth)) / batch

where `speed` is that of a matrix product and `bandwidth` that of a copy,
both measured just before; `weights` are the bytes of those that a step
reads, `products` twice their number for each row, `caches` the bytes of the
keys and values that are filled, on average, and `prompt` the products of
the prompt. `share_of_limit` is the limit by the time. Peak memory is the
process's largest during a call after the first, less what it was before the
model was made, when a small one had run; `memory_ratio` is that by the bytes
of weights and caches.
"""

import importlib.util
import os
import subprocess
import sys

import keras
import measuring
import numpy as np
import other_libraries

from keras_bidalle import configurations
from keras_bidalle.configurations.generators import LIKE_MINGPT
from keras_bidalle.generators import BidirectionalTransformer


def gpt(width, depth, heads, rows=16, codes=1024, prompt=50):
    return BidirectionalTransformer, {
        "text_vocabulary_size": max(prompt, 1024),
        "text_length": prompt,
        "num_codes": codes,
        "code_shape": (rows, rows),
        "width": width,
        "depth": depth,
        "num_heads": heads,
        **LIKE_MINGPT,
        "head_bias": False,
    }


def _published(name, **changes):
    cls, arguments = configurations.generator(name)
    return cls, {**arguments, **changes}


# Each: what to build, sampling settings, batch sizes.
CONFIGURATIONS = {
    "gpt-8x512": (gpt(512, 8, 8), {"top_k": 100}, (1, 16, 64)),
    "bidalle": (_published("bidalle-mnist64"), {"top_k": 25}, (1, 16, 64)),
    "bidalle-full": (
        _published("bidalle-mnist64", attention=("full",)),
        {"top_k": 25},
        (1, 16, 64),
    ),
    # The published program at a size for CPUs: 51.8 million weights.
    "rq": (
        _published(
            "rq-transformer-ffhq-355m", width=512, depth=12, num_heads=8
        ),
        {"top_k": 250},
        (1, 16, 64),
    ),
    # arXiv 2203.01941, Figure 4, whose program is timed on an A100.
    "rq-1.4b": (
        _published("rq-transformer-imagenet-1.4b"),
        {"top_p": 0.92},
        (100, 200, 500),
    ),
    "vq-1.4b": (
        gpt(1536, 48, 24, codes=16384, prompt=1),
        {"top_p": 0.92},
        (100, 200, 500),
    ),
    "tiny": (gpt(32, 2, 2, rows=4, codes=64, prompt=5), {"top_k": 8}, (2,)),
}


def main(arguments=None):
    options = parse(arguments)
    for name in options.configurations:
        for batch in options.batch_sizes or CONFIGURATIONS[name][2]:
            for direction in options.directions:
                has_captions = CONFIGURATIONS[name][0][1]["text_length"] > 1
                if direction == "caption" and not has_captions:
                    continue
                if not options.here:
                    run_apart(options, name, direction, batch)
                    continue
                for line in measure(options, name, direction, batch):
                    measuring.tell(**line)


def parse(arguments):
    parser = measuring.parser(__doc__)
    parser.set_defaults(rounds=3)
    add = parser.add_argument
    add("configurations", nargs="*", default=["gpt-8x512", "bidalle", "rq"])
    add("--batch-sizes", nargs="+", type=int, help="such as 1 16 64")
    directions = ("picture", "caption")
    add("--directions", nargs="+", choices=directions, default=directions)
    libraries = tuple(other_libraries.PROGRAMS)
    add("--against", nargs="+", choices=libraries, default=[])
    add("--here", action="store_true", help="all in this process")
    options = parser.parse_args(arguments)
    for name in options.configurations:
        if name not in CONFIGURATIONS:
            parser.error(f"{name!r} is none of {', '.join(CONFIGURATIONS)}")
    return options


def run_apart(options, name, direction, batch):
    command = [sys.executable, os.path.abspath(__file__), name, "--here"]
    command += ["--batch-sizes", str(batch), "--directions", direction]
    command += ["--rounds", str(options.rounds), "--dtype", options.dtype]
    if options.against:
        command += ["--against", *options.against]
    done = subprocess.run(command)
    if done.returncode:
        # The next one may fit, or work.
        case = {"configuration": name, "direction": direction, "batch": batch}
        measuring.tell(**case, failed=f"exit status {done.returncode}")


def measure(options, name, direction, batch):
    """Times one case; yields a dict of figures for each library."""
    speed, bandwidth = measuring.machine_speed(options.dtype)
    # What is loaded and kept for any model is loaded by then.
    sampler(build("tiny", options.dtype), direction, 1, {"top_k": 8})(0)
    before = measuring.resident_memory()
    settings = CONFIGURATIONS[name][1]
    generator = build(name, options.dtype)
    ours = sampler(generator, direction, batch, settings)
    compile_seconds = measuring.seconds(ours, 0)
    measuring.reset_peak_memory()
    ours(1)
    peak = measuring.memory.peak()

    systems, skipped = {"keras_bidalle": ours}, {}
    for library in options.against:
        if importlib.util.find_spec(library) is None:
            skipped[library] = "not installed"
        elif direction == "caption" or not isgpt(generator):
            skipped[library] = "has no such architecture"
        else:
            program = other_libraries.PROGRAMS[library]
            systems[library] = program(generator, batch, settings)
            measuring.seconds(systems[library], 0)
    times = measuring.in_turn(systems, options.rounds)

    case = {
        "configuration": name,
        "direction": direction,
        "batch": batch,
        "dtype": options.dtype,
    }
    mine = times.pop("keras_bidalle")
    tokens = new_positions(generator, direction)
    if direction == "picture":
        tokens *= generator.head.codes_per_position
    limit = least_seconds(generator, direction, batch, speed, bandwidth)
    held = cache_bytes(generator, batch)
    held += sum(np.prod(w.shape) * bytes_of(w.dtype) for w in generator.weights)
    yield {
        "system": "keras_bidalle",
        "backend": keras.config.backend(),
        **case,
        "parameters": generator.count_params(),
        "ms_a_sample": round(1e3 * mine / batch, 2),
        "tokens_a_second": round(batch * tokens / mine, 1),
        "compile_seconds": round(compile_seconds - mine, 2),
        "product_gflop_s": round(speed / 1e9, 1),
        "copy_gb_s": round(bandwidth / 1e9, 1),
        "limit_ms_a_sample": round(1e3 * limit / batch, 2),
        "share_of_limit": round(limit / mine, 3),
        "peak_memory_mb": round((peak - before) / 1e6),
        "weights_and_caches_mb": round(held / 1e6),
        "memory_ratio": round((peak - before) / held, 2),
    }
    for library, theirs in times.items():
        yield {
            "system": library,
            **case,
            "ms_a_sample": round(1e3 * theirs / batch, 2),
            "times_ours": round(theirs / mine, 2),
        }
    for library, reason in skipped.items():
        yield {"system": library, **case, "skipped": reason}


def build(name, dtype):
    cls, arguments = CONFIGURATIONS[name][0]
    keras.utils.set_random_seed(0)
    generator = cls(**arguments, dtype=dtype)
    if getattr(generator, "code_dim", None):
        shape = generator.head.codebooks.codebooks.shape
        generator.use_codebooks(np.random.default_rng(0).normal(size=shape))
    return generator


def isgpt(generator):
    """Whether this is the architecture of GPT-2."""
    return (
        generator.head.codes_per_position == 1
        and set(generator.layout.attention) == {"full"}
        and generator.transformer.block["head_dim"] is None
    )


def sampler(generator, direction, batch, settings):
    """A function of a seed that draws one batch."""
    rng = np.random.default_rng(0)
    sampling = {"batch_size": batch, **settings}
    if direction == "caption":
        shape = (batch, *generator.code_shape)
        codes = rng.integers(0, generator.num_codes, shape)
        # Captions that never end, so that every one is as long.
        legal = np.zeros(generator.captions.text_classes, "float32")
        legal[generator.captions.end_id] = -1e9
        sampling.update(temperature=1.0, legal=legal)
        write = generator.generate_text
        return lambda seed: write(codes, seed=seed, **sampling)
    shape = (batch, generator.text_length)
    low = min(3, generator.text_vocabulary_size - 1)
    text = rng.integers(low, generator.text_vocabulary_size, shape)
    return lambda seed: generator.generate_codes(text, seed=seed, **sampling)


def new_positions(generator, direction):
    if direction == "caption":
        return generator.text_length - 1
    return generator.layout.num_positions


def step_weights(generator, direction):
    """How many weights the blocks have, and those that predict, by use."""

    def count(layers):
        return sum(layer.count_params() for layer in layers)

    if direction == "caption":
        head = np.prod(generator.captions.head.shape)
    else:
        head = np.prod(generator.head.kernel.shape[-2:])
        for name in ("patch_head_in", "mixing"):
            head += np.prod(getattr(generator.head, name, np.zeros(0)).shape)
        head *= generator.head.codes_per_position
        each = count(generator.head.decoded_blocks())
        head += each * generator.head.codes_per_position
    return count(generator.transformer.blocks), float(head)


def least_seconds(generator, direction, batch, speed, bandwidth):
    """What the arithmetic of one batch takes at least: see the top."""
    body, head = step_weights(generator, direction)
    new = new_positions(generator, direction)
    prompt = generator.layout.length - new
    width = bytes_of(generator.compute_dtype)
    read = (body + head) * width / bandwidth
    products = 2 * (body + head) * batch / speed
    filled = (prompt + new / 2) / generator.layout.length
    caches = cache_bytes(generator, batch) * filled / bandwidth
    return 2 * body * batch * prompt / speed + new * (
        max(read, products) + caches
    )


def cache_bytes(generator, batch):
    block = generator.transformer.blocks[0]
    inner = block.num_heads * block.head_dim * bytes_of(generator.compute_dtype)
    layout = generator.layout
    return 2 * layout.depth * batch * layout.length * inner


def bytes_of(dtype):
    return 2 if "16" in dtype else 4


if __name__ == "__main__":
    main()
