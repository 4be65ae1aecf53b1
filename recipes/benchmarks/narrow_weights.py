"""Weights of 8 bits beside float32: times in turn, and what they change.

    KERAS_BACKEND=torch python recipes/benchmarks/narrow_weights.py
    KERAS_BACKEND=torch python recipes/benchmarks/narrow_weights.py --random

The model is the shipped preset with its own settings, or, with `--random`,
that of `sampling.py`'s "gpt-8x512" with random weights. Prints a line of JSON
for each batch size: ms of a call, medians of `--rounds` calls after the first,
taken in turn, by single steps and by `decoder="auto"`; how large a share of
codes is equal for equal seeds; and how far logits are from those of float32,
the root of the mean square and the largest, beside the logits' own standard
deviation. `--save FOLDER` leaves the narrow model, for `recipes/evaluate.py`.
"""

import functools

import decoders
import keras
import measuring
import numpy as np
import sampling

import keras_bidalle
from keras_bidalle.quantized_layers import with_weights

DECODERS = ("sequential", "auto")


def main(arguments=None):
    parser = measuring.parser(__doc__)
    add = parser.add_argument
    add("--batch-sizes", nargs="+", type=int, default=[1, 4, 16])
    add("--preset", default="bidalle-mnist", help="(default: %(default)s)")
    add("--random", action="store_true", help="weights that nobody trained")
    add("--save", metavar="FOLDER", help="where the narrow model is left")
    options = parser.parse_args(arguments)
    models = [model(options, weights) for weights in (None, "int8")]
    if options.save:
        models[1].save_to_preset(options.save)
    generators = [getattr(each, "generator", each) for each in models]
    name = "gpt-8x512" if options.random else options.preset
    text = captions(options, models[0])
    case = {"model": name, "backend": keras.config.backend()}
    measuring.tell(**case, **logit_errors(generators, text))
    for batch in options.batch_sizes:
        rows = np.resize(text, (batch, text.shape[1]))
        figures = measure(generators, rows, options.rounds)
        measuring.tell(**case, batch=batch, **figures)


def model(options, weights):
    if not options.random:
        return keras_bidalle.load(options.preset, weights=weights)
    generator = sampling.build("gpt-8x512", options.dtype)
    rng = np.random.default_rng(0)
    for block in generator.transformer.blocks:
        # They start at zero, and then there is nothing to be rounded.
        for layer in (block.to_out, block.contract):
            layer.kernel.assign(0.02 * rng.normal(size=layer.kernel.shape))
    return with_weights(generator, weights)


def captions(options, model):
    if options.random:
        shape = (16, model.text_length)
        return np.random.default_rng(0).integers(3, 1000, shape)
    return model.caption_tokenizer.encode(list(decoders.CAPTIONS))


def drawing(generator, text, decoder):
    """A function of a seed: the codes of a batch."""
    return lambda seed: generator.generate_codes(
        text,
        seed=1000 * seed + np.arange(len(text)),
        decoder=decoder,
        batch_size=len(text),
    )


def measure(generators, text, rounds):
    """Times in turn, and the share of equal codes."""
    wide, narrow = (
        {name: drawing(each, text, name) for name in DECODERS}
        for each in generators
    )
    systems = {
        f"{label}, {name}": draw
        for label, draws in (("float32", wide), ("int8", narrow))
        for name, draw in draws.items()
    }
    for draw in systems.values():
        draw(0)
    times = measuring.in_turn(systems, rounds)
    equal = [
        np.mean(wide["sequential"](seed) == narrow["sequential"](seed))
        for seed in range(rounds)
    ]
    return {
        "ms": {name: round(1e3 * taken, 1) for name, taken in times.items()},
        "times_faster": {
            name: round(times[f"float32, {name}"] / times[f"int8, {name}"], 2)
            for name in DECODERS
        },
        "equal_codes": round(float(np.mean(equal)), 4),
    }


def logit_errors(generators, text):
    """How far the logits of both directions are from those of float32."""
    wide, narrow = generators
    codes = drawing(wide, text, "auto")(0)
    both = np.arange(len(text)) % 2 == 0
    rows = {"text": text, "codes": codes, "text_to_image": both}
    predict = functools.partial(map, keras.ops.convert_to_numpy)
    names = ("image_logits", "text_logits")
    results = [each(rows) for each in (wide, narrow)]
    figures = {}
    for name in names:
        before, after = predict(found[name] for found in results)
        error = after - before
        found = {
            "deviation": before.std(),
            "rms_error": np.sqrt(np.mean(error**2)),
            "largest_error": np.abs(error).max(),
        }
        figures[name] = {key: float(f"{v:.3g}") for key, v in found.items()}
    return figures


if __name__ == "__main__":
    main()
