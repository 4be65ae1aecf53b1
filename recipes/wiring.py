"""What the programs share: the backend, precision, and a stage of training.

Import it before Keras: it chooses the backend where nobody did.
"""

import contextlib
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
from command_line import fail, make_parser, program  # noqa: F401
from PIL import Image

from keras_bidalle import (
    TextImageModel,
    data,
    image_tokenizers,
    load,
    training,
)
from keras_bidalle.backend import replicas
from keras_bidalle.sampling.settings import SETTINGS


def add_distribution(parser):
    """Adds the options that `distributed` reads."""
    parser.add_argument(
        "--distribution",
        default="none",
        choices=tuple(training.DISTRIBUTIONS),
        help="over which devices the rows of a batch are shared; the batch "
        "size is that of all of them together (default: none)",
    )


def add_sampling(parser):
    """Adds an option for each sampling setting, which `sampling_of` reads."""
    for name, setting in SETTINGS.items():
        parser.add_argument(
            f"--{name.replace('_', '-')}",
            type=setting.kind,
            help=f"{setting.range}; {setting.meaning}",
        )


def sampling_of(options):
    """The sampling settings that were given: dict from name to value."""
    given = {name: getattr(options, name) for name in SETTINGS}
    return {k: value for k, value in given.items() if value is not None}


@contextlib.contextmanager
def distributed(options):
    """The scope of the distribution that was asked for.

    Enter it before anything is made. All processes run the same program; the
    first one writes and prints.
    """
    distribution = training.distribute(options.distribution)
    with contextlib.ExitStack() as stack:
        stack.enter_context(distribution.scope())
        if not replicas.is_first_process():
            silence = stack.enter_context(open(os.devnull, "w"))
            stack.enter_context(contextlib.redirect_stdout(silence))
        elif distribution.num_replicas > 1:
            print(distribution)
        yield distribution


def per_process(batch_size):
    """How many rows of a batch each process reads.

    Raises:
        ValueError: if they cannot share a batch evenly.
    """
    count = replicas.data_shard()[1]
    if batch_size % max(count, replicas.planned()):
        raise ValueError(
            f"{max(count, replicas.planned())} replicas cannot share a batch "
            f"of {batch_size} rows evenly."
        )
    return batch_size // count


# Large pictures are opened; those too large to be safe are an error.
warnings.simplefilter("ignore", Image.DecompressionBombWarning)


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
        make_batch: function from a step to what `fit` takes, the rows of
            this process.
        epochs: int, how often the run is summed up.
        steps_per_epoch: int.
        batch_size: int, of all processes, for the speed.
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


def check_counts(**options):
    """Raises unless options that were given are at least 1.

    Raises:
        ValueError: names the option.
    """
    for name, value in options.items():
        if value is not None and value < 1:
            flag = name.replace("_", "-")
            raise ValueError(f"--{flag} must be at least 1. Received: {value}")


def picture_inputs(paths, reserved=()):
    """The pictures that a command line names, folders searched.

    Args:
        paths: list of str.
        reserved: tuple of str, names that are not given.

    Returns:
        Tuple of a dict from a name, its place below the folder that was
        given, without suffix and used once, to a `pathlib.Path`; and the
        number of paths that were nothing, each told.
    """
    found, failed = {}, 0
    for path in map(pathlib.Path, paths):
        try:
            files = data.image_files(path) if path.is_dir() else [path]
        except OSError as error:
            failed += fail(error)
            continue
        for file in files:
            below = file.relative_to(path) if path.is_dir() else file.name
            name = whole = str(pathlib.PurePath(below).with_suffix(""))
            number = 1
            while name in found or name in reserved:
                number += 1
                name = f"{whole}-{number}"
            found[name] = file
    return found, failed


def open_pictures(files, image_shape):
    """Opens pictures one by one, in the shape that a model takes.

    Args:
        files: dict from name to path.
        image_shape: tuple (H, W, C).

    Yields:
        Tuple of a name and a uint8 array (H, W, C), or of a name and `None`
        where the picture could not be read, which is told.
    """
    crop = data.CenterCrop(tuple(image_shape[:2]))
    for name, file in files.items():
        try:
            yield name, crop(data.open_image(file))
        except (OSError, data.ImageError) as error:
            fail(error)
            yield name, None


def image_tokenizer_of(model):
    """The image tokenizer of a preset, which may be a whole model."""
    found = getattr(model, "image_tokenizer", model)
    if not isinstance(found, image_tokenizers.ImageTokenizer):
        raise ValueError(
            "The preset must hold an image tokenizer or a TextImageModel. "
            f"Received: a {type(model).__name__}"
        )
    return found


def text_image_model(name):
    """Opens a preset that must hold a whole model."""
    model = load(name)
    if not isinstance(model, TextImageModel):
        raise ValueError(
            f"{str(name)!r} must be a TextImageModel. "
            f"Received: a {type(model).__name__}"
        )
    return model
