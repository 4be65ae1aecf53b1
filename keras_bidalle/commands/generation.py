"""Images of captions and captions of images, with a preset, into files."""

import argparse
import importlib
import json
import os
import pathlib
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_bidalle import training
from keras_bidalle.commands.inputs import (
    PictureInputs,
    check_counts,
    drawing_model,
    tell_error,
)
from keras_bidalle.data.image_opening import path_name
from keras_bidalle.files import atomic_path
from keras_bidalle.messages import shown
from keras_bidalle.presets import preset_names
from keras_bidalle.programs import add_sampling, sampling_of

# The first of these that is shipped is taken where no model is named.
DEFAULT_PRESETS = ("bidalle-emoji", "bidalle-mnist")


def default_preset() -> str:
    """The shipped preset that is used where none is named."""
    shipped = preset_names()
    return next(name for name in DEFAULT_PRESETS if name in shipped)


def add_generation(parser: argparse.ArgumentParser) -> None:
    """Adds the options that `Generation` reads."""
    add = parser.add_argument
    add("--samples", type=int, default=1, help="results each (default: 1)")
    add("--seed", type=int, default=0, help="of the first (default: 0)")
    add_sampling(parser)
    add("--best-of", type=int, metavar="N", help="candidates each")
    add("--scorer", metavar="MODULE:FUNCTION", help="chooses among them")
    add("--batch-size", type=int, default=64, help="at once (default: 64)")


class Generation:
    """A model, and the settings that a command line has for it.

    Args:
        name: str or `pathlib.Path`, a `TextImageModel`'s preset, a generator
            of classes with its tokenizer (see `drawing_model`), or the folder
            of a run.
        options: with the attributes of `add_generation`.

    Raises:
        ValueError: if a setting or the preset cannot be.
    """

    def __init__(
        self, name: str | pathlib.Path, options: argparse.Namespace
    ) -> None:
        check_counts(
            samples=options.samples,
            best_of=options.best_of,
            batch_size=options.batch_size,
        )
        self.seed, self.batch_size = options.seed, options.batch_size
        scorer = scorer_of(options.scorer) if options.scorer else None
        self.settings: dict[str, Any] = {
            "num_samples": options.samples,
            "batch_size": options.batch_size,
            "best_of": options.best_of,
            "scorer": scorer,
            **sampling_of(options),
        }
        self.model = drawing_model(name)

    def draw(self, captions: Sequence[str], output: pathlib.Path) -> int:
        """Draws captions into a folder; returns how many were refused."""
        drawn = []
        for number, caption in enumerate(captions):
            try:
                self.model.caption_tokenizer.encode([caption])
            except ValueError as error:
                # It names an argument; here there is one caption.
                told = str(error).replace("`captions[0]`", repr(caption))
                tell_error(told)
                continue
            drawn.append((number, caption))
        if not drawn:
            return len(captions)
        seeds = [self.seed + number for number, _ in drawn]
        texts = [caption for _, caption in drawn]
        pictures = self.model.text_to_image(texts, seed=seeds, **self.settings)
        pictures = pictures.reshape(len(texts), -1, *pictures.shape[-3:])
        for (number, _), row in zip(drawn, pictures, strict=True):
            for sample, picture in enumerate(row):
                file = output / f"{number:03d}-{sample}.png"
                training.save_png(file, picture)
        training.save_captioned(output / "grid.png", texts, pictures)
        print(
            f"{pictures.shape[0] * pictures.shape[1]} pictures of "
            f"{len(texts)} captions in {output}"
        )
        return len(captions) - len(drawn)

    def read(
        self,
        pictures: Sequence[str | pathlib.Path],
        output: pathlib.Path | None = None,
    ) -> int:
        """Prints captions of images; returns how many could not be read.

        Args:
            pictures: files and folders.
            output: folder where `captions.json` is written, if any.
        """
        inputs = PictureInputs(pictures)
        shape = self.model.image_tokenizer.image_shape
        written = {}
        for batch in inputs.batches(self.batch_size, shape):
            numbers, names, pixels = zip(*batch, strict=True)
            texts = self.model.image_to_text(
                np.stack(pixels),
                seed=[self.seed + number for number in numbers],
                **self.settings,
            )
            for name, found in zip(names, texts, strict=True):
                found = [found] if isinstance(found, str) else found
                file = path_name(inputs.files[name])
                for text in found:
                    print(f"{file}\t{text}")
                written[file] = found
        if written and output is not None:
            with atomic_path(output / "captions.json") as temporary:
                temporary.write_text(json.dumps(written, indent=2) + "\n")
        return inputs.failed


def scorer_of(name: str) -> Any:
    """The function that `module:function` names."""
    module, _, function = name.partition(":")
    # As with `python -m`: modules of the current folder are found.
    sys.path.insert(0, os.getcwd())
    try:
        found = getattr(importlib.import_module(module), function)
    # A `TypeError` where a name begins with a dot.
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        raise ValueError(
            "--scorer must be module:function. "
            f"Received: {shown(name)} ({error})"
        ) from error
    if not callable(found):
        raise ValueError(f"--scorer {shown(name)} is not a function.")
    return found
