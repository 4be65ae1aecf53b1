"""What the programs share: the backend, options, and images.

Import it before Keras: it chooses the backend where nobody did.
"""

import importlib.util
import itertools
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
from keras_bidalle.programs import (  # noqa: F401
    add_sampling,
    image_tokenizer_of,
    sampling_of,
)

# Large images are opened; those too large to be safe are an error.
warnings.simplefilter("ignore", Image.DecompressionBombWarning)


def add_output(parser, default):
    """Adds an option for the folder to write."""
    meaning = f"folder to write (default: {default})"
    parser.add_argument(
        "--output", default=default, type=pathlib.Path, help=meaning
    )


def on_devices(run):
    """A program's `run`, within the distribution that its options name."""

    def distributed(options):
        with programs.distributed(options):
            return run(options)

    return distributed


def trains(plan):
    """A program's `run` that trains the `Plan` of its options."""
    return on_devices(lambda options: programs.train(plan(options)))


def check_counts(**options):
    """Raises unless options that were given are at least 1."""
    for name, value in options.items():
        if value is not None and value < 1:
            flag = name.replace("_", "-")
            raise ValueError(f"--{flag} must be at least 1. Received: {value}")


class PictureInputs:
    """The images that a command line names, folders searched.

    What cannot be read is reported, and counted in `failed`.
    """

    def __init__(self, paths, reserved=()):
        self.files, self.failed = {}, 0
        for path in map(pathlib.Path, paths):
            try:
                files = data.image_files(path) if path.is_dir() else [path]
            except OSError as error:
                self.failed += fail(error)
                continue
            for file in files:
                below = file.relative_to(path) if path.is_dir() else file.name
                name = whole = str(pathlib.PurePath(below).with_suffix(""))
                number = 1
                while name in self.files or name in reserved:
                    number += 1
                    name = f"{whole}-{number}"
                self.files[name] = file

    def batches(self, size, image_shape):
        """Yields lists of a number, a name and uint8 pixels (H, W, 3)."""
        rows = self._opened(data.CenterCrop(tuple(image_shape[:2])))
        while batch := list(itertools.islice(rows, size)):
            yield batch

    def _opened(self, crop):
        for number, (name, file) in enumerate(self.files.items()):
            try:
                pixels = crop(data.open_image(file))
            except (OSError, data.ImageError) as error:
                self.failed += fail(error)
                continue
            yield number, name, pixels


def preset_of(name, tokenizer=False):
    """What `load` opens: the preset in the folder of a run, or the name."""
    parts = ("tokenizer", "model") if tokenizer else ("model", "tokenizer")
    folder = pathlib.Path(name)
    presets = [folder, *(folder / part for part in parts)]
    found = (p for p in presets if (p / "metadata.json").is_file())
    return next(found, name)


def text_image_model(name):
    """Opens a preset that must hold a whole model."""
    model = load(preset_of(name))
    if not isinstance(model, TextImageModel):
        raise ValueError(
            f"{str(name)!r} must be a TextImageModel. "
            f"Received: a {type(model).__name__}"
        )
    return model
