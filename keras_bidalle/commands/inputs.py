"""What commands and programs open: presets by name, pictures by path."""

import argparse
import itertools
import os
import pathlib
import signal
import sys
import warnings
from collections.abc import Collection, Iterator
from typing import Any

import numpy as np
from PIL import Image

from keras_bidalle import data
from keras_bidalle.captions import ClassNames
from keras_bidalle.generators import Generator
from keras_bidalle.messages import one_line, shown
from keras_bidalle.presets import load
from keras_bidalle.programs import preset_of, tokenizer_beside
from keras_bidalle.text_image_model import TextImageModel
from keras_bidalle.validation import is_integer


def tell_error(message: Any) -> int:
    """Prints an error, an exception or a text, in one line; returns 1."""
    if isinstance(message, OSError) and message.filename is not None:
        # Without the number and the quotes that Python has around it.
        message = f"{message.filename}: {message.strerror}"
    print(f"Error: {one_line(str(message))}", file=sys.stderr)
    return 1


def tell_stopped(options: argparse.Namespace) -> int:
    """Prints that Ctrl-C has ended a program; returns 130, as shells do."""
    resumed = ", --resume goes on" if "resume" in options else ""
    print(f"\nstopped{resumed}", file=sys.stderr)
    return 128 + signal.SIGINT


def take_large_images() -> None:
    """Opens large images without a warning, as programs of ours do.

    Those too large to be safe are an error.
    """
    warnings.simplefilter("ignore", Image.DecompressionBombWarning)


def check_counts(**options: int | None) -> None:
    """Raises a `ValueError` unless options that were given are at least 1."""
    for name, value in options.items():
        if value is not None and not (is_integer(value) and value > 0):
            flag = name.replace("_", "-")
            raise ValueError(
                f"--{flag} must be at least 1. Received: {shown(value)}"
            )


class PictureInputs:
    """The images that a command line names, folders searched.

    What cannot be read is reported, and counted in `failed`.

    Args:
        paths: str or `pathlib.Path` of files and folders.
        reserved: names that no image may have.

    Attributes:
        files: dict from an image's name to its file.
        failed: int, what could not be read so far.
    """

    def __init__(
        self,
        paths: Collection[str | pathlib.Path],
        reserved: Collection[str] = (),
    ) -> None:
        self.files: dict[str, pathlib.Path] = {}
        self.failed = 0
        for path in map(pathlib.Path, paths):
            try:
                files = (
                    data.image_files(path) if os.path.isdir(path) else [path]
                )
            except OSError as error:
                self.failed += tell_error(error)
                continue
            for file in files:
                below = (
                    file.relative_to(path) if os.path.isdir(path) else file.name
                )
                name = whole = str(pathlib.PurePath(below).with_suffix(""))
                number = 1
                while name in self.files or name in reserved:
                    number += 1
                    name = f"{whole}-{number}"
                self.files[name] = file

    def batches(
        self, size: int, image_shape: tuple[int, ...]
    ) -> Iterator[list[tuple[int, str, np.ndarray]]]:
        """Yields lists of a number, a name and uint8 pixels (H, W, 3)."""
        height, width = image_shape[:2]
        rows = self._opened(data.CenterCrop((height, width)))
        while batch := list(itertools.islice(rows, size)):
            yield batch

    def _opened(self, crop):
        for number, (name, file) in enumerate(self.files.items()):
            try:
                pixels = crop(data.open_image(file))
            except (OSError, data.ImageError) as error:
                self.failed += tell_error(error)
                continue
            yield number, name, pixels


def text_image_model(name: str | pathlib.Path) -> TextImageModel:
    """Opens a preset that must hold a whole model.

    Raises:
        ValueError: if it holds something else, or as `load` does.
    """
    return _whole(load(preset_of(name)), name)


def drawing_model(name: str | pathlib.Path) -> TextImageModel:
    """As `text_image_model`, or joins what draws images of classes.

    Beside a generator of classes lies its image tokenizer, and, where a
    program of ours trained it, `classes.json` with the classes' names.

    Raises:
        ValueError: if it holds something else, or a part is damaged.
        FileNotFoundError: if a generator of classes has no tokenizer.
    """
    preset = preset_of(name)
    model = load(preset)
    if not isinstance(model, Generator) or model.text_length > 1:
        return _whole(model, name)
    tokenizer = tokenizer_beside(preset)
    if tokenizer is None:
        raise FileNotFoundError(
            f"{shown(str(name))} is a generator of classes without its image "
            "tokenizer: there is no `tokenizer` beside it."
        )
    size = model.text_vocabulary_size
    classes = ClassNames(None, size)
    for folder in (pathlib.Path(preset), pathlib.Path(preset).parent):
        if os.path.isfile(folder / "classes.json"):
            classes = ClassNames.read(folder / "classes.json", size)
    return TextImageModel(tokenizer, classes, model)


def _whole(model, name):
    if not isinstance(model, TextImageModel):
        raise ValueError(
            f"{shown(str(name))} must be a TextImageModel. "
            f"Received: a {type(model).__name__}"
        )
    return model
