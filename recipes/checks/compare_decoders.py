"""Draws rows by fixed-point passes and by single steps, and compares.

Rows have mixed settings: every temperature, filter and scale of guidance in
other rows. Weights are random, and those of the shipped preset. Prints a line
of JSON for each case, and exits with an error where more codes differ than
rounding may change: the scores of two tokens, or a random number and the
bound between two tokens, can be equal but for the order of sums.

    KERAS_BACKEND=jax python recipes/checks/compare_decoders.py --rows 1000
"""

import json
import sys

import keras
import numpy as np

import keras_bidalle
from keras_bidalle import generators, programs
from keras_bidalle.sampling.decoders import FixedPoint, Sequential

MOST_DIFFERENT = 1e-4
SIZES = {
    "text_vocabulary_size": 32,
    "text_length": 10,
    "num_codes": 64,
    "width": 64,
    "depth": 4,
    "num_heads": 4,
    "condition_dropout": 0.1,
}
HEADS = {
    "single codes": (
        generators.BidirectionalTransformer,
        {
            "code_shape": (8, 8),
            "attention": ("full", "axial_row", "axial_column", "conv_like"),
            "token_kernel_size": 3,
            "rotary": True,
        },
    ),
    "patches": (
        generators.PatchBidirectionalTransformer,
        {"code_shape": (16, 16), "token_kernel_size": 5},
    ),
    "stacks": (
        generators.RQTransformer,
        {"code_shape": (6, 6, 4), "head_depth": 2},
    ),
}


def random_generator(head):
    cls, options = HEADS[head]
    keras.utils.set_random_seed(0)
    generator = cls(**SIZES, **options)
    # Fresh blocks add nothing: their outputs start at zero.
    for i, weight in enumerate(generator.trainable_variables):
        noise = keras.random.normal(weight.shape, seed=i)
        weight.assign(weight + 0.1 * noise)
    return generator


def mixed_settings(rng, count, guided):
    settings = {
        "temperature": rng.choice([0.0, 0.5, 1.0, 1.5], count),
        "top_k": rng.choice([1, 5, 25, 64], count),
        "top_p": rng.choice([0.5, 0.9, 1.0], count),
        "min_p": rng.choice([0.0, 0.05], count),
    }
    if guided:
        settings["guidance_scale"] = rng.choice([0.5, 1.0, 2.0, 4.0], count)
    return settings


def compare(generator, direction, guided, rows, batch_size):
    """Figures of one case: dict."""
    rng = np.random.default_rng(0)
    settings = mixed_settings(rng, rows, guided)
    shape = (rows, generator.text_length)
    text = rng.integers(3, generator.text_vocabulary_size, shape)
    text[:, 0] = generator.captions.start_id
    draw, condition = generator.generate_codes, text
    if direction == "captions":
        shape = (rows, *generator.code_shape)
        condition = rng.integers(0, generator.num_codes, shape)
        draw = generator.generate_text

    def drawn(decoder):
        return draw(
            condition,
            seed=range(rows),
            decoder=decoder,
            batch_size=batch_size,
            **settings,
        )

    steps = drawn(Sequential())
    passes = drawn(FixedPoint(window=8, cost=1.0))
    unlike = (steps != passes).reshape(rows, -1)
    # What follows a code that differs is another row's.
    first = unlike.any(axis=1).sum()
    return {
        "rows": rows,
        "tokens": int(steps.size),
        "rows_that_differ": int(first),
        "share_of_ties": float(first / steps.size),
    }


def main():
    parser = programs.make_parser(__doc__)
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--batch-size", type=int, default=64)
    options = parser.parse_args()
    models = {head: lambda head=head: random_generator(head) for head in HEADS}
    models["bidalle-mnist"] = lambda: (
        keras_bidalle.load("bidalle-mnist").generator
    )
    failed = False
    for name, make in models.items():
        generator = make()
        for direction in ("images", "captions"):
            for guided in (False, True):
                case = compare(
                    generator,
                    direction,
                    guided,
                    options.rows,
                    options.batch_size,
                )
                failed |= case["share_of_ties"] > MOST_DIFFERENT
                about = {
                    "backend": keras.config.backend(),
                    "model": name,
                    "direction": direction,
                    "guided": guided,
                }
                print(json.dumps({**about, **case}), flush=True)
    if failed:
        sys.exit(f"More than {MOST_DIFFERENT:g} of the tokens differ first.")


if __name__ == "__main__":
    main()
