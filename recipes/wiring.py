"""What the programs share: the backend, options, and images.

Import it before Keras: it chooses the backend where nobody did.
"""

import importlib.util
import os
import pathlib
import warnings

if "KERAS_BACKEND" not in os.environ and importlib.util.find_spec("torch"):
    # The fastest of the three on CPUs for these programs.
    os.environ["KERAS_BACKEND"] = "torch"
# TensorFlow, when something imports it, prints every library it looks for.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from command_line import fail, make_parser, program  # noqa: F401
from PIL import Image

from keras_bidalle import TextImageModel, data, load, programs
from keras_bidalle.programs import image_tokenizer_of  # noqa: F401
from keras_bidalle.sampling.settings import SETTINGS

# Large images are opened; those too large to be safe are an error.
warnings.simplefilter("ignore", Image.DecompressionBombWarning)


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


def on_devices(run):
    """A program's `run`, within the distribution that its options name."""

    def distributed(options):
        with programs.distributed(options):
            return run(options)

    return distributed


def run_folder(options):
    """The folder of a run of a configuration."""
    name = options.name or pathlib.Path(options.configuration).stem
    return pathlib.Path(options.output) / name


def check_counts(**options):
    """Raises unless options that were given are at least 1."""
    for name, value in options.items():
        if value is not None and value < 1:
            flag = name.replace("_", "-")
            raise ValueError(f"--{flag} must be at least 1. Received: {value}")


def picture_inputs(paths, reserved=()):
    """The images that a command line names, folders searched."""
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


def open_images(files, image_shape):
    """Opens images one by one, in the shape that a model takes."""
    crop = data.CenterCrop(tuple(image_shape[:2]))
    for name, file in files.items():
        try:
            yield name, crop(data.open_image(file))
        except (OSError, data.ImageError) as error:
            fail(error)
            yield name, None


def text_image_model(name):
    """Opens a preset that must hold a whole model."""
    model = load(name)
    if not isinstance(model, TextImageModel):
        raise ValueError(
            f"{str(name)!r} must be a TextImageModel. "
            f"Received: a {type(model).__name__}"
        )
    return model
