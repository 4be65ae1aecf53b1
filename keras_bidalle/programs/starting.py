"""Presets that a run starts from, or uses as they are."""

import os
import pathlib
from typing import Any

from keras_bidalle.image_tokenizers import ImageTokenizer
from keras_bidalle.messages import one_line
from keras_bidalle.presets import load


def load_start(preset: str) -> Any:
    """Loads what `--start-from` names.

    Raises:
        ValueError: if it is no preset; of a published checkpoint it is told
            how it becomes one.
    """
    try:
        return load(preset)
    except (ValueError, FileNotFoundError) as error:
        path = pathlib.Path(preset)
        if os.path.isfile(path / "metadata.json") or not os.path.exists(path):
            raise
        raise ValueError(
            one_line(
                f"{preset} is no preset. A published checkpoint becomes one "
                "by recipes/convert_checkpoint.py, of a run it is the folder "
                f"`model` or `tokenizer` in its own. {error}"
            )
        ) from error


def preset_of(name: str | pathlib.Path, tokenizer: bool = False) -> Any:
    """What `load` opens: the preset in the folder of a run, or the name.

    Args:
        name: str or `pathlib.Path`.
        tokenizer: bool, whether of a run's presets that of the image
            tokenizer comes first.
    """
    # Of a run that was cut the model that it had come to.
    parts = ["model", "unfinished", "tokenizer"]
    if tokenizer:
        parts.reverse()
    folder = pathlib.Path(name)
    presets = [folder, *(folder / part for part in parts)]
    found = (p for p in presets if os.path.isfile(p / "metadata.json"))
    return next(found, name)


def tokenizer_path(preset: str | os.PathLike[str]) -> pathlib.Path | None:
    """The preset of the image tokenizer that lies beside a generator's.

    Of a converted archive it lies inside of it, of a run beside the model.
    """
    for folder in (pathlib.Path(preset), pathlib.Path(preset).parent):
        if os.path.isfile(folder / "tokenizer" / "metadata.json"):
            return folder / "tokenizer"
    return None


def tokenizer_beside(preset: str | os.PathLike[str]) -> ImageTokenizer | None:
    """The image tokenizer beside a generator's preset, where there is one."""
    path = tokenizer_path(preset)
    return None if path is None else image_tokenizer_of(load(path))


def image_tokenizer_of(model: Any) -> ImageTokenizer:
    """The image tokenizer of a preset, which may be a whole model."""
    found = getattr(model, "image_tokenizer", model)
    if not isinstance(found, ImageTokenizer):
        raise ValueError(
            "The preset must hold an image tokenizer or a TextImageModel. "
            f"Received: a {type(model).__name__}"
        )
    return found
