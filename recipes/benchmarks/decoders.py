"""Fixed-point passes beside single steps: passes, and times in turn.

    KERAS_BACKEND=torch python recipes/benchmarks/decoders.py
    KERAS_BACKEND=jax python recipes/benchmarks/decoders.py --random

The model is the shipped preset, without guidance, or, with `--random`, that
of `sampling.py`'s "gpt-8x512" with random weights, whose codes nobody can
guess. Prints a line of JSON for each batch size and window. Times are seconds
of the processor, which other programs on the machine change less than those
of the clock; `times_faster` is the median of the ratios of rounds. Passes are
counted where operations run one by one (PyTorch).
"""

import time

import keras
import measuring
import numpy as np
import sampling

import keras_bidalle
from keras_bidalle.sampling.decoders import FixedPoint, Sequential
from keras_bidalle.transformer.transformer import Transformer

CAPTIONS = (
    "red 3 on the upper left .",
    "the number is green 7 .",
    "blue 5 on the lower right .",
    "red 1 on the upper right .",
)


def main():
    parser = measuring.parser(__doc__)
    add = parser.add_argument
    add("--batch-sizes", nargs="+", type=int, default=[1, 4, 16])
    add("--windows", nargs="+", type=int, default=[8, 16])
    add("--cost", type=float, default=1.5, help="as of `FixedPoint`")
    add("--captions", action="store_true", help="of pictures, not pictures")
    add("--random", action="store_true", help="weights that nobody trained")
    options = parser.parse_args()
    generator, text = conditions(options)
    passes = counted_passes()
    for batch in options.batch_sizes:
        draw = drawing(generator, np.resize(text, (batch, text.shape[1])))
        if options.captions:
            draw = captioning(generator, draw(Sequential(), 0))
        for window in options.windows:
            fixed = FixedPoint(window, options.cost)
            case = measure(draw, fixed, options.rounds, passes)
            measuring.tell(
                model="gpt-8x512" if options.random else "bidalle-mnist",
                direction="captions" if options.captions else "images",
                backend=keras.config.backend(),
                batch=batch,
                window=window,
                **case,
            )


def conditions(options):
    """A generator, and captions for it."""
    if options.random:
        generator = sampling.build("gpt-8x512", options.dtype)
        shape = (16, generator.text_length)
        return generator, np.random.default_rng(0).integers(3, 1000, shape)
    model = keras_bidalle.load("bidalle-mnist")
    return model.generator, model.caption_tokenizer.encode(list(CAPTIONS))


def drawing(generator, text):
    # The preset's own are guided: twice the work of both.
    generator.sampling_defaults = {}
    return lambda decoder, seed: generator.generate_codes(
        text,
        seed=seed + np.arange(len(text)),
        decoder=decoder,
        batch_size=len(text),
    )


def captioning(generator, codes):
    return lambda decoder, seed: generator.generate_text(
        codes, seed=seed, decoder=decoder, batch_size=len(codes)
    )


def counted_passes():
    """A list to which the transformer adds the positions of each pass."""
    widths, decode = [], Transformer.decode

    def counting(self, x, *arguments):
        widths.append(x.shape[1])
        return decode(self, x, *arguments)

    Transformer.decode = counting
    return widths


def measure(draw, fixed, rounds, passes):
    decoders = {"sequential": Sequential(), "fixed_point": fixed}
    for decoder in decoders.values():
        draw(decoder, 0)
    ratios, counts, unlike = [], [], 0
    times = {name: [] for name in decoders}
    for seed in range(rounds):
        drawn = {}
        # What came first is not always first.
        for name in sorted(decoders, reverse=bool(seed % 2)):
            passes.clear()
            start = time.process_time()
            drawn[name] = draw(decoders[name], 100 * (seed + 1))
            times[name].append(time.process_time() - start)
            if name == "fixed_point":
                counts.append(len(passes))
        ratios.append(times["sequential"][-1] / times["fixed_point"][-1])
        unlike += int((drawn["sequential"] != drawn["fixed_point"]).sum())
    return {
        **{
            f"{name}_ms": round(1e3 * float(np.median(taken)), 1)
            for name, taken in times.items()
        },
        "times_faster": round(float(np.median(ratios)), 2),
        "passes": round(float(np.mean(counts)), 1) if any(counts) else None,
        "codes_that_differ": unlike,
    }


if __name__ == "__main__":
    main()
