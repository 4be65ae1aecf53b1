"""What training a published generator takes: memory, work and time, on paper.

Counts weights by building the model without them, and does the arithmetic
that `docs/scaling.md` explains. Nothing is trained.

    python recipes/checks/scaling_plan.py
    python recipes/checks/scaling_plan.py --names dalle-12b --devices 64 \
        --device-tflops 989 --rows 4
"""

import math
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from keras_bidalle import configurations, programs
from keras_bidalle.messages import markdown_table

# Bytes a weight under mixed_bfloat16: float32 weight, gradient, and Adam's
# two moments.
STATE_BYTES = 16


def plan(name, rows, devices, device_tflops, share, network):
    """The figures of one model: GB (10^9 bytes) and seconds."""
    cls, arguments = configurations.generator(name)
    batch = configurations.generator_training(name)["batch_size"]
    params = configurations.count_params(cls, arguments)
    d, blocks = arguments["width"], arguments["depth"]
    grid = arguments["code_shape"]
    stacked = len(grid) == 3
    depth = grid[2] if stacked else 1
    places = math.prod(grid[:2])
    length = arguments["text_length"] + places
    heads = arguments["num_heads"]

    # Activations of a block for a row, in bytes at 16 bits: arXiv 2205.05198,
    # equation 2, and section 5 with all of it computed again.
    block = length * d * (34 + 5 * heads * length / d)
    kept = 2 * length * d
    # float32 logits, their gradient, and one more for the softmax.
    logits = 3 * 4 * places * depth * arguments["num_codes"]
    plain, again = blocks * block + logits, blocks * kept + block + logits
    if stacked:
        inner = arguments["head_depth"]
        short = places * depth * d * (34 + 5 * heads * depth / d)
        plain += inner * short
        again += inner * 2 * places * depth * d + short

    # Operations of a row, forwards and backwards: 6 a weight and position,
    # and the products of attention.
    work = 6 * 12 * d * d * blocks * length + 12 * blocks * length**2 * d
    if stacked:
        work += 6 * 12 * d * d * arguments["head_depth"] * places * depth
    work += 6 * d * arguments["num_codes"] * places * depth
    per_device = batch / devices
    compute = 4 / 3 * work * per_device / (device_tflops * 1e12 * share)
    exchange = 2 * (devices - 1) / devices * 4 * params / (network * 1e9)
    state = STATE_BYTES * params / 1e9
    return {
        "model": f"`{name}`",
        "weights": f"{params / 1e6:,.0f} M",
        "state, GB": f"{state:.1f}",
        "activations, GB": f"{rows * plain / 1e9:.1f}",
        "with gradient checkpointing, GB": f"{rows * again / 1e9:.1f}",
        "state + these, GB": f"{state + rows * again / 1e9:.1f}",
        "published batch": str(batch),
        "compute a step, s": _seconds(compute),
        "exchange a step, s": _seconds(exchange),
    }


def _seconds(value):
    return f"{value:.0f}" if value >= 10 else f"{value:.2g}"


def main():
    parser = programs.make_parser(__doc__)
    known = configurations.generator_names()
    parser.add_argument("--names", nargs="+", choices=known, default=known)
    for flag, default, meaning in (
        ("--rows", 8, "that a device takes at once"),
        ("--devices", 8, "that share a batch"),
        ("--device-tflops", 312.0, "peak in bfloat16 (default: an A100's)"),
        ("--share", 0.35, "of the peak that training reaches, an assumption"),
        ("--network", 12.5, "GB/s between devices (default: 100 Gbit/s)"),
    ):
        kind = type(default)
        parser.add_argument(flag, type=kind, default=default, help=meaning)
    options = vars(parser.parse_args())
    names = options.pop("names")
    plans = [plan(name, **options) for name in names]
    print(markdown_table(list(plans[0]), [plan.values() for plan in plans]))


if __name__ == "__main__":
    main()
