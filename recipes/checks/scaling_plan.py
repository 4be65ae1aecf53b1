"""What training a published generator takes: memory, work and time, on paper.

Counts weights by building the model without them, and does the arithmetic
that `docs/scaling.md` explains. Nothing is trained.

    python recipes/checks/scaling_plan.py
    python recipes/checks/scaling_plan.py --names dalle-12b --devices 64 \
        --device-tflops 989 --rows 4
"""

import argparse
import math
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from keras_bidalle import configurations

# Bytes a weight under mixed_bfloat16: float32 weight, gradient, and Adam's
# two moments.
STATE_BYTES = 16


def plan(name, rows=8, devices=8, tflops=312.0, share=0.35, network=12.5):
    """The figures of one model."""
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
    compute = 4 / 3 * work * per_device / (tflops * 1e12 * share)
    exchange = 2 * (devices - 1) / devices * 4 * params / (network * 1e9)
    state = STATE_BYTES * params / 1e9
    return {
        "weights": params,
        "state": state,
        "activations": rows * plain / 1e9,
        "activations, checkpointed": rows * again / 1e9,
        "total, checkpointed": state + rows * again / 1e9,
        "batch": batch,
        "compute": compute,
        "exchange": exchange,
    }


def _seconds(value):
    return f"{value:.0f}" if value >= 10 else f"{value:.2g}"


def table(plans):
    """The figures as Markdown."""
    lines = [
        "| model | weights | state, GB | activations, GB | with gradient "
        "checkpointing, GB | state + these, GB | published batch | compute a "
        "step, s | exchange a step, s |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, row in plans.items():
        cells = [
            f"`{name}`",
            f"{row['weights'] / 1e6:,.0f} M",
            f"{row['state']:.1f}",
            f"{row['activations']:.1f}",
            f"{row['activations, checkpointed']:.1f}",
            f"{row['total, checkpointed']:.1f}",
            str(row["batch"]),
            _seconds(row["compute"]),
            _seconds(row["exchange"]),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    known = configurations.generator_names()
    parser.add_argument("--names", nargs="+", choices=known, default=known)
    parser.add_argument("--rows", type=int, default=8, help="at once, a device")
    parser.add_argument("--devices", type=int, default=8)
    parser.add_argument(
        "--device-tflops",
        dest="tflops",
        type=float,
        default=312.0,
        help="peak in bfloat16 (default: an A100's)",
    )
    parser.add_argument(
        "--share",
        type=float,
        default=0.35,
        help="of the peak that training reaches, an assumption",
    )
    parser.add_argument(
        "--network",
        type=float,
        default=12.5,
        help="GB/s between devices (default: 100 Gbit/s)",
    )
    options = vars(parser.parse_args())
    names = options.pop("names")
    print(table({name: plan(name, **options) for name in names}))


if __name__ == "__main__":
    main()
