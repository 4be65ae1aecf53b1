"""Sizes that suit a data set: of pictures, captions, words and codes."""

import collections
import dataclasses
import pathlib
from typing import Any

import numpy as np
from PIL import Image

from keras_bidalle import data
from keras_bidalle.captions import CaptionTokenizer
from keras_bidalle.configurations import Configuration
from keras_bidalle.messages import one_line

# Of a data set, so many records are looked at.
_PICTURES, _CAPTIONED = 512, 20_000
_SIDES = (32, 64, 128, 256)
# Patches of a kind that each code stands for, at least.
_PATCHES_A_CODE = 8
_LONGEST, _SHORTEST = 96, 8
# A small data set is seen so often, if the configuration is not done before.
_EPOCHS = {"tokenizer": 200, "generator": 300}
_FEWEST_STEPS = 200


@dataclasses.dataclass
class Survey:
    """What a data set has.

    Attributes:
        records: int.
        side: float, the median of the pictures' shorter sides.
        captions: list of str.
        source: `ImageSource`, all this is of.
    """

    records: int
    side: float
    captions: list[str]
    source: data.ImageSource

    @classmethod
    def of(cls, source: data.ImageSource) -> "Survey":
        """Looks at a source.

        Raises:
            keras_bidalle.data.ImageError: when no picture can be opened, or
                none has a caption.
        """
        sides: list[int] = []
        captions: list[str] = []
        count = len(source)
        opened = set(_spread(count, _PICTURES))
        for index in _spread(count, _CAPTIONED):
            try:
                record = source.read(index)
                if index in opened:
                    sides.append(_shorter_side(record.image))
                captions += record.captions
            except (OSError, data.ImageError):
                continue
        if not sides or not captions:
            what = "caption can be read" if sides else "picture can be opened"
            raise data.ImageError(
                one_line(f"No {what} of {source.description}.")
            )
        return cls(count, float(np.median(sides)), captions, source)


def _spread(count: int, most: int) -> list[int]:
    return np.unique(
        np.linspace(0, count - 1, min(count, most)).astype(int)
    ).tolist()


def _shorter_side(image: Any) -> int:
    if isinstance(image, pathlib.Path):
        # The head of a file says it.
        try:
            with Image.open(image) as opened:
                return min(opened.size)
        except Exception as error:  # Pillow's readers raise all kinds.
            raise data.ImageError(one_line(f"{image}: {error}")) from error
    return min(np.asarray(data.open_image(image)).shape[:2])


def captioned_part(
    source: data.ImageSource, words: CaptionTokenizer
) -> data.ImageSource | None:
    """The records whose captions can all be spelled and fit, if any."""
    fitting = []
    for index in range(len(source)):
        try:
            captions = source.read(index).captions
            words.encode(captions)
        except (OSError, ValueError):
            continue
        if captions:
            fitting.append(index)
    left_out = len(source) - len(fitting)
    if left_out and fitting:
        print(f"{left_out} of {len(source)} held-out records have other words")
    if not fitting:
        return None
    told = "whose captions can be spelled"
    return data.SourcePart(source, np.asarray(fitting), told)


def suit(
    survey: Survey,
    tokenizer: Configuration | None,
    generator: Configuration,
) -> list[str]:
    """Changes both configurations to suit a data set, never to larger ones.

    Args:
        survey: `Survey`.
        tokenizer: `Configuration`, or `None` where one is used as it is.
        generator: `Configuration`.

    Returns:
        What was chosen and why, list of lines.
    """
    told = _words(survey, generator)
    if tokenizer is not None:
        told.insert(0, _picture_size(survey, tokenizer))
        told.append(_codes(survey, tokenizer))
        told.append(_length(survey, "tokenizer", tokenizer))
    return [*told, _length(survey, "generator", generator)]


def _picture_size(survey: Survey, tokenizer: Configuration) -> str:
    height, width, channels = tokenizer.arguments["image_shape"]
    most = min(height, width)
    # Enlarged by a third at most.
    wanted = next((s for s in _SIDES if 4 * s >= 3 * survey.side), _SIDES[-1])
    if wanted < most and tokenizer.training["codebook_start"] == "patches":
        tokenizer.change("image_shape", (wanted, wanted, channels))
    side = tokenizer.arguments["image_shape"][0]
    return (
        f"picture size {side}x{side}: the shorter side of pictures is "
        f"{survey.side:g} in the median"
    )


def _words(survey: Survey, generator: Configuration) -> list[str]:
    """Chooses the vocabulary and the length of captions."""
    arguments = generator.arguments
    counts = collections.Counter(
        word for text in survey.captions for word in text.lower().split()
    )
    letters = len(set("".join(counts)))
    often = sum(count > 1 for count in counts.values())
    # A word is some merges; special tokens, and letters in two forms.
    wanted = 5 + 2 * letters + 2 * often
    size = min(arguments["text_vocabulary_size"], max(wanted, 64))
    size = max(size, min(5 + 2 * letters, arguments["text_vocabulary_size"]))
    words = CaptionTokenizer.from_captions(survey.captions, size, _LONGEST)
    lengths = np.asarray([len(words.tokens_of(t)) for t in survey.captions])
    # All of them but one in two hundred, [CLS] and [SEP] beside.
    needed = int(np.quantile(lengths, 0.995, method="higher")) + 2
    length = min(_LONGEST, max(_SHORTEST, -(-needed // 4) * 4))
    arguments["text_vocabulary_size"] = words.vocabulary_size
    arguments["text_length"] = length
    left_out = int((lengths + 2 > length).sum())
    told = f"; longer and left out: {left_out}" if left_out else ""
    return [
        f"vocabulary {words.vocabulary_size}: {len(counts)} words, {often} of "
        "them more than once",
        f"caption length {length} tokens: {lengths.mean():.1f} in the mean"
        f"{told}",
    ]


def _codes(survey: Survey, tokenizer: Configuration) -> str:
    arguments = tokenizer.arguments
    quantizer = arguments["quantizer"]["config"]
    most = quantizer["num_codes"]
    if tokenizer.training["codebook_start"] != "patches":
        return f"codes {most}: as the configuration has it"
    patch = arguments["patch_size"]
    crop = data.CenterCrop(arguments["image_shape"][:2])
    different: set[bytes] = set()
    for index in _spread(survey.records, _PICTURES):
        try:
            pixels = crop(data.open_image(survey.source.read(index).image))
        except (OSError, data.ImageError):
            continue
        different |= _patches(np.asarray(pixels), patch)
        if len(different) > 2 * _PATCHES_A_CODE * most:
            break
    codes = most
    while codes > 2 and codes * _PATCHES_A_CODE > len(different):
        codes //= 2
    tokenizer.change("quantizer.num_codes", codes)
    return (
        f"codes {codes}: at least {len(different)} different patches of "
        f"{patch}x{patch} pixels"
    )


def _patches(pixels: np.ndarray, size: int) -> set[bytes]:
    height, width, channels = pixels.shape
    grid = pixels.reshape(
        height // size, size, width // size, size, channels
    ).transpose(0, 2, 1, 3, 4)
    return {row.tobytes() for part in grid for row in part}


def _length(survey: Survey, stage: str, configuration: Configuration) -> str:
    settings = configuration.training
    steps = settings["steps"]
    if steps is None:
        return f"{stage}: {settings['epochs']} epochs"
    enough = _EPOCHS[stage] * survey.records // settings["batch_size"]
    set_steps(configuration, min(steps, max(enough, _FEWEST_STEPS)))
    steps = settings["steps"]
    epochs = steps * settings["batch_size"] / survey.records
    return (
        f"{stage}: {steps} steps of {settings['batch_size']} pictures, "
        f"{epochs:.3g} times over the data"
    )


def set_steps(configuration: Configuration, steps: int) -> None:
    """Sets how long a stage is; a warm-up is a tenth of it at most."""
    settings = configuration.training
    settings["steps"] = steps
    settings["warmup_steps"] = min(settings["warmup_steps"], steps // 10)
