r"""The sampling speed of RQ-Transformers, as their authors measured it.

    KERAS_BACKEND=torch python recipes/benchmarks/rq_throughput.py \
        --f 32 --d 4 --c 16384 --model huge --batch-sizes 100 200 500
    KERAS_BACKEND=torch python recipes/benchmarks/rq_throughput.py \
        --f 16 --d 1 --model huge --dtype bfloat16 --images 8 --loops 2

Draws codes, a class to each image, and decodes them to images, one at a time
as the published program does; the weights are random. Prints a line of JSON
for each batch size, with the published times beside: ms a sample on an A100
in float32 (arXiv 2203.01941, Figure 4, read off the
picture). `--f` is the ratio of an image's side to that of its codes, `--d`
the codes of a place and `--c` how many kinds of them there are.
`processor_ms_a_sample` is the time that all threads were at work: on one
thread of a machine that is busy otherwise, that of an idle one.
"""

import os
import pathlib
import platform
import time

import keras
import measuring
import numpy as np
import sampling

from keras_bidalle import configurations
from keras_bidalle.programs.precision import policy

# The encoders' and decoders' channels by f, and where they attend.
CHANNELS = {
    32: (1, 1, 2, 2, 4, 4),
    16: (1, 1, 2, 2, 4),
    8: (1, 2, 2, 4),
}
# Width, layers of body and head, and layers where d is 1 and there is no head.
MODELS = {
    "huge": (1536, 42, 6, 48),
    "large": (1536, 24, 4, 28),
    "medium": (1024, 24, 4, 28),
    "small": (512, 24, 4, 28),
    # Of the tests.
    "tiny": (64, 2, 1, 2),
}
CLASSES = 1000
PUBLISHED = {
    (16, 1, 16384, "huge"): {100: 162, 200: 140, 500: "out of memory"},
    (32, 4, 16384, "huge"): {100: 39, 200: 25, 500: 19},
}


def parse(arguments=None):
    parser = measuring.parser(__doc__)
    add = parser.add_argument
    add("--f", type=int, default=32, choices=tuple(CHANNELS))
    add("--d", type=int, default=4, help="codes a place (default: 4)")
    add("--c", type=int, default=16384, help="kinds of codes (16384)")
    add("--model", default="huge", choices=tuple(MODELS))
    add("--batch-sizes", nargs="+", type=int, default=[100])
    add("--images", type=int, default=1000, help="of a loop (default: 1000)")
    add("--loops", type=int, default=6, help="the first warms up (default: 6)")
    add("--size", type=int, default=256, help="side of an image (256)")
    add("--channels", type=int, default=128, help="of the decoder (128)")
    options = parser.parse_args(arguments)
    counts = (*options.batch_sizes, options.d, options.c, options.images)
    if min(counts) < 1 or options.loops < 2:
        parser.error("counts must be at least 1, and --loops at least 2")
    return options


def main(arguments=None):
    options = parse(arguments)
    keras.utils.set_random_seed(0)
    tokenizer = build_tokenizer(options)
    generator = build_generator(options)
    case = (options.f, options.d, options.c, options.model)
    for batch in options.batch_sizes:
        drawn, decoded, busy = times(generator, tokenizer, batch, options)
        published = PUBLISHED.get(case, {})
        measuring.tell(
            **dict(zip(("f", "d", "c", "model"), case, strict=True)),
            batch=batch,
            dtype=options.dtype,
            parameters=generator.count_params(),
            decoder_parameters=tokenizer.decoder.count_params(),
            images_a_loop=rounds(options.images, batch) * batch,
            loops=options.loops - 1,
            ms_a_sample=round(drawn + decoded, 1),
            codes_ms_a_sample=round(drawn, 1),
            decoding_ms_a_sample=round(decoded, 1),
            processor_ms_a_sample=round(busy, 1),
            load_average=round(os.getloadavg()[0], 1),
            published_ms_a_sample=published.get(batch),
            published_by_batch=published,
            peak_memory_mb=round(measuring.memory.peak() / 1e6),
            backend=keras.config.backend(),
            device=device(),
        )


def build_tokenizer(options):
    """The RQ-VAE that has such codes."""
    cls, arguments = configurations.tokenizer("rq-vae-imagenet-8x8x4")
    quantizer = arguments["quantizer"]["config"]
    quantizer["code_depth"] = options.d
    quantizer["quantizer"]["config"]["num_codes"] = options.c
    arguments |= {
        "channels": options.channels,
        "channel_multipliers": CHANNELS[options.f],
        "image_shape": (options.size, options.size, 3),
        "attention_resolutions": (options.size // options.f,),
    }
    with policy(options.dtype):
        return configurations.build(cls, arguments)


def build_generator(options):
    """The RQ-Transformer of such codes, or a plain one for single codes."""
    width, depth, head_depth, plain_depth = MODELS[options.model]
    side, heads = options.size // options.f, width // 64
    if options.d == 1:
        cls, arguments = sampling.gpt(
            width, plain_depth, heads, side, options.c, prompt=1
        )
        arguments["text_vocabulary_size"] = CLASSES
        return cls(**arguments, dtype=options.dtype)
    cls, arguments = configurations.generator("rq-transformer-imagenet-1.4b")
    arguments |= {
        "num_codes": options.c,
        "code_shape": (side, side, options.d),
        "width": width,
        "depth": depth,
        "num_heads": heads,
        "head_depth": head_depth,
    }
    generator = cls(**arguments, dtype=options.dtype)
    shape = generator.head.codebooks.codebooks.shape
    generator.use_codebooks(np.random.default_rng(0).normal(size=shape))
    return generator


def rounds(images, batch):
    """How many batches a loop has."""
    return -(-images // batch)


def times(generator, tokenizer, batch, options):
    """Mean ms a sample of drawing codes, of decoding, and of processors.

    The last is what all threads together were at work for, whatever else
    the machine did meanwhile.
    """
    classes = np.zeros((batch, 1), "int32")
    found = []
    for loop in range(options.loops):
        drawn = decoded = 0.0
        idle = time.process_time()
        for i in range(rounds(options.images, batch)):
            start = time.perf_counter()
            codes = generator.generate_codes(
                classes, seed=loop * options.images + i, batch_size=batch
            )
            middle = time.perf_counter()
            codes = codes.reshape(batch, *tokenizer.code_shape)
            measuring.finish(tokenizer.decode(codes, batch_size=1))
            drawn += middle - start
            decoded += time.perf_counter() - middle
        found.append((drawn, decoded, time.process_time() - idle))
    samples = rounds(options.images, batch) * batch
    return 1e3 * np.mean(found[1:], axis=0) / samples


def device():
    """What computes: the accelerators, or the processor and its cores."""
    if measuring.has_accelerator():
        if keras.config.backend() != "torch":
            return ", ".join(keras.distribution.list_devices())
        import torch

        return torch.cuda.get_device_name()
    cores = len(os.sched_getaffinity(0))
    path = pathlib.Path("/proc/cpuinfo")
    names = path.read_text().splitlines() if path.is_file() else []
    named = [n.partition(": ")[2] for n in names if n.startswith("model name")]
    return f"{[*named, platform.processor()][0]}, {cores} cores"


if __name__ == "__main__":
    main()
