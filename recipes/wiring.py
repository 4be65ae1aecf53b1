"""What the programs share: the backend, precision, and a stage of training.

Import it before Keras: it chooses the backend where nobody did.
"""

import importlib.util
import os
import pathlib
import shutil
import tempfile
import warnings

if "KERAS_BACKEND" not in os.environ and importlib.util.find_spec("torch"):
    # The fastest of the three on CPUs for these programs.
    os.environ["KERAS_BACKEND"] = "torch"
# TensorFlow, when something imports it, tells of every library it looks for.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras

from keras_bidalle import data, training


def fit_stage(
    folder,
    stage,
    model,
    make_batch,
    epochs,
    steps_per_epoch,
    batch_size,
    summaries=(),
    callbacks=(),
):
    """Trains, with checkpoints, TensorBoard, curves and a line of progress.

    Args:
        folder: `keras_bidalle.training.RunFolder`.
        stage: str, names what is written there.
        model: a built and compiled `keras.Model`.
        make_batch: function from a step to what `fit` takes.
        epochs: int, how often the run is summed up.
        steps_per_epoch: int.
        batch_size: int, for the speed.
        summaries: list of `("image" or "text", tag, function)`, what is
            shown at each epoch's end.
        callbacks: list of further ones.
    """
    checkpoint = training.ResumableCheckpoint(
        folder / "checkpoints" / stage, every_seconds=30
    )
    writer = training.SummaryWriter(folder / "events" / stage)
    history = training.resumable_fit(
        model,
        lambda step: data.as_dataset(make_batch, step),
        checkpoint,
        epochs=epochs,
        steps_per_epoch=steps_per_epoch,
        callbacks=[
            *callbacks,
            training.RunProgress(stage, batch_size=batch_size),
            training.ScalarSummaries(writer, every_steps=50),
            *(
                training.ImageSummaries(writer, function, tag)
                if kind == "image"
                else training.TextSummaries(writer, function, tag)
                for kind, tag, function in summaries
            ),
        ],
    )
    writer.close()
    folder.update_metrics(**{f"{stage}_training": history[-1]})
    training.save_curves(folder / f"{stage}_curves.png", history)


def in_float32(build, trained):
    """A twin of `trained` that computes in float32, for use after training."""
    with policy("float32"):
        twin = build()
    # By way of a file, which leaves out what only training needs: the
    # discriminator, the optimizer.
    with tempfile.TemporaryDirectory() as scratch:
        path = os.path.join(scratch, "trained.weights.h5")
        trained.save_weights(path)
        twin.load_weights(path)
    return twin


class policy:
    """The dtype policy of what is built inside."""

    def __init__(self, name):
        self.name = name

    def __enter__(self):
        self.before = keras.config.dtype_policy()
        keras.config.set_dtype_policy(self.name)

    def __exit__(self, *_):
        keras.config.set_dtype_policy(self.before)


def resolved(precision):
    """The dtype policy that "auto" stands for on this machine."""
    if precision != "auto":
        return precision
    cpu = pathlib.Path("/proc/cpuinfo")
    fast = cpu.is_file() and "amx_bf16" in cpu.read_text()
    return "mixed_bfloat16" if fast else "float32"


def jit(wanted):
    """What `compile` takes as `jit_compile` here."""
    if keras.config.backend() != "torch":
        return "auto"
    if wanted and not shutil.which(os.environ.get("CXX", "g++")):
        print("no C++ compiler: stage 2 trains without torch.compile")
        return False
    # Of Keras' own caches, which are safe to trace through.
    warnings.filterwarnings("ignore", message="Dynamo detected a call to a")
    return wanted
