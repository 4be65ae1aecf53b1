r"""How fast the two stages train, encode and decode.

Prints JSON, one line for each measurement, on the backend of KERAS_BACKEND,
with random weights and data:

    KERAS_BACKEND=jax python recipes/benchmarks/training.py
    KERAS_BACKEND=tensorflow python recipes/benchmarks/training.py generator

`tokenizer` is the published TE-VQGAN for MNIST64 without its adversarial and
perceptual losses: ms an image of a training step, of encoding and of
decoding. `generator` is the published Bi-directional DALL-E: ms of a training
step of batch 16 on rows of one direction and of the other (`text_to_image`,
`image_to_text`), and of both in one batch. Times are medians of `--rounds`
calls after the first, which compiles.
"""

import keras
import measuring
import numpy as np
from keras import ops

from keras_bidalle import configurations
from keras_bidalle.programs.measured_steps import made_rows

# What `--tiny` changes, to see that all works.
_TINY = {
    "tokenizer": {
        "channels": 32,
        "channel_multipliers": (1,),
        "image_shape": (8, 8, 3),
    },
    "generator": {"width": 16, "depth": 1, "num_heads": 2, "head_dim": 8},
}


def main(arguments=None):
    parser = measuring.parser(__doc__)
    add = parser.add_argument
    add("stage", nargs="?", choices=STAGES, help="(default: both)")
    add("--batch-size", type=int, default=16)
    add("--xla", action="store_true", help="TensorFlow compiles with XLA")
    add("--tiny", action="store_true", help="small models")
    options = parser.parse_args(arguments)
    for stage in [options.stage] if options.stage else STAGES:
        for line in STAGES[stage](options):
            measuring.tell(
                stage=stage,
                backend=keras.config.backend(),
                batch=options.batch_size,
                **line,
            )


def build(name, published, options):
    cls, arguments = published
    if options.tiny:
        arguments = {**arguments, **_TINY[name]}
    keras.utils.set_random_seed(0)
    arguments["dtype"] = options.dtype
    model = configurations.build(cls, arguments)
    # Keras' own choice is XLA on JAX and none on the others.
    jit = True if options.xla else "auto"
    model.compile(keras.optimizers.Adam(1e-4), jit_compile=jit)
    return model


def tokenizer(options):
    """Yields the figures of stage 1."""
    published = configurations.tokenizer("te-vqgan-mnist64")
    model = build("tokenizer", published, options)
    read, batch = ops.convert_to_numpy, options.batch_size
    shape = (batch, *model.image_shape)
    images = np.random.default_rng(0).uniform(-1, 1, shape).astype("float32")
    codes = read(model.encode(images, batch_size=batch))
    tasks = {
        "train": lambda: model.train_on_batch(images),
        "encode": lambda: read(model.encode(images, batch_size=batch)),
        "decode": lambda: read(model.decode(codes, batch_size=batch)),
    }
    for task, function in tasks.items():
        seconds, first = measuring.timed(function, options.rounds)
        yield {
            "task": task,
            "parameters": model.count_params(),
            "ms_a_picture": round(1e3 * seconds / batch, 2),
            "compile_seconds": round(first - seconds, 2),
        }


def generator(options):
    """Yields the figures of stage 2."""
    published = configurations.generator("bidalle-mnist64")
    model = build("generator", published, options)
    batch = options.batch_size
    rows = made_rows(model, batch)
    directions = {
        "text_to_image": np.ones(batch, bool),
        "image_to_text": np.zeros(batch, bool),
        "both": np.arange(batch) % 2 == 0,
    }
    for task, direction in directions.items():
        inputs = {**rows, "text_to_image": direction}
        seconds, first = measuring.timed(
            lambda inputs=inputs: model.train_on_batch(inputs), options.rounds
        )
        yield {
            "task": task,
            "parameters": model.count_params(),
            "ms_a_step": round(1e3 * seconds, 1),
            "compile_seconds": round(first - seconds, 2),
        }


STAGES = {"tokenizer": tokenizer, "generator": generator}

if __name__ == "__main__":
    main()
