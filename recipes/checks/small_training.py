"""A training of seconds, which `kill_test` and `elastic_test` disturb.

And what both are: programs that start themselves as workers in a folder,
watch them, and print a report as JSON.
"""

import argparse
import json
import os
import pathlib
import shutil
import signal
import sys
import tempfile
import time

import numpy as np

from keras_bidalle import programs

ROWS = 8
STEPS_PER_EPOCH = 25


def build_model():
    """A tokenizer whose training needs all that a checkpoint must hold."""
    import keras

    from keras_bidalle import image_tokenizers, quantizers

    keras.utils.set_random_seed(5)
    # Codes are revived in every run, by draws.
    quantizer = quantizers.EMAVectorQuantizer(
        num_codes=12, code_dim=8, kmeans_steps=2, revival_share=0.5, seed=1
    )
    model = image_tokenizers.PatchVQGAN(
        quantizer,
        image_shape=(16, 16, 3),
        channels=8,
        hidden_channels=8,
        num_blocks=1,
    )
    optimizer = keras.optimizers.Adam(
        keras.optimizers.schedules.CosineDecay(0.01, 1000),
        epsilon=1e-4,
        global_clipnorm=0.1,
        gradient_accumulation_steps=2,
        use_ema=True,
    )
    model.compile(optimizer)
    return model


def make_batch(step):
    """float32 images (ROWS, 16, 16, 3)."""
    rng = np.random.default_rng((3, step))
    return rng.uniform(-1, 1, (ROWS, 16, 16, 3)).astype("float32")


def batches(step):
    """This process's batches of the run from a step on, for `fit`."""
    from keras_bidalle import data

    return data.as_dataset(data.own_rows(make_batch), step)


def fit(fitting, checkpoint, steps, tell):
    """Trains a new model, or goes on, and calls `tell` after each step.

    Returns:
        Tuple of the model and what `fitting` gave.
    """
    from keras_bidalle import training

    class Progress(training.StepCallback):
        def on_train_batch_end(self, batch, logs=None):
            tell(self.steps_done(batch))

    model = build_model()
    return model, fitting(
        model,
        batches,
        checkpoint,
        epochs=steps // STEPS_PER_EPOCH,
        steps_per_epoch=STEPS_PER_EPOCH,
        callbacks=[Progress()],
    )


def parse(description, **defaults):
    """The options of a check."""
    parser = programs.make_parser(description)
    for name, default in defaults.items():
        parser.add_argument(f"--{name}", type=type(default), default=default)
    parser.add_argument("--train", type=pathlib.Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.steps % STEPS_PER_EPOCH or options.steps < STEPS_PER_EPOCH:
        parser.error(f"--steps must be a multiple of {STEPS_PER_EPOCH}")
    return options


def report(observe, passed):
    """Prints what was observed in an empty folder, and ends the program."""
    folder = pathlib.Path(tempfile.mkdtemp())
    try:
        found = observe(folder)
    finally:
        shutil.rmtree(folder)
    print(json.dumps(found, indent=2))
    sys.exit(0 if passed(found) else 1)


def wait_for(condition, process, errors, seconds=900):
    """Waits until something is so; fails where the process ends before."""
    deadline = time.monotonic() + seconds
    while not condition():
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"It did not come so far:\n{errors()[-2000:]}")
        time.sleep(0.001)


def end_group(process):
    """Ends a process and what a launcher may have left of its own."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def read_results(folder):
    """What the workers have written at their end: list of dicts."""
    paths = sorted(folder.glob("result-*.json"))
    return [json.loads(path.read_text()) for path in paths]


def write_result(folder, name, **values):
    """Writes what `read_results` reads."""
    (folder / f"result-{name}.json").write_text(json.dumps(values))
