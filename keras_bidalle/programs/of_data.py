"""Sizes that suit a data set: of pictures, captions, words and codes."""

import collections
import contextlib
import dataclasses
import functools
import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np

from keras_bidalle import data
from keras_bidalle.captions import CaptionTokenizer
from keras_bidalle.configurations import Configuration
from keras_bidalle.data.image_opening import image_size
from keras_bidalle.messages import one_line

# Of a data set, so many records are looked at.
_PICTURES, _CAPTIONED = 512, 20_000
_SIDES = (32, 64, 128, 256)
# Patches of a kind that each code stands for, at least.
_PATCHES_A_CODE = 8
_LONGEST, _SHORTEST = 96, 8
# Of captions, more than these are not to be left out without asking.
_MOST_LEFT_OUT = 0.9
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
    _spelled: dict[int, tuple[int, np.ndarray]] = dataclasses.field(
        default_factory=dict, repr=False
    )

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

    @functools.cached_property
    def words(self) -> collections.Counter:
        """How often each word is in the captions."""
        return collections.Counter(
            word for text in self.captions for word in text.lower().split()
        )

    def spelled(self, size: int) -> tuple[int, np.ndarray]:
        """The size of a vocabulary, at most this, and tokens of captions.

        Raises:
            ValueError: if it is too small for the letters.
        """
        if size not in self._spelled:
            words = CaptionTokenizer.from_captions(
                self.captions, size, _LONGEST
            )
            counts = []
            for text in self.captions:
                with contextlib.suppress(ValueError):
                    # Names of special tokens cannot be spelled.
                    counts.append(len(words.tokens_of(text)))
            found = words.vocabulary_size, np.asarray(counts)
            self._spelled[size] = self._spelled[found[0]] = found
        return self._spelled[size]


def _spread(count: int, most: int) -> list[int]:
    return np.unique(
        np.linspace(0, count - 1, min(count, most)).astype(int)
    ).tolist()


def _shorter_side(image: Any) -> int:
    if isinstance(image, pathlib.Path):
        # The head of a file says it.
        return min(image_size(image))
    return min(np.asarray(data.open_image(image)).shape[:2])


def captioned_part(
    source: data.ImageSource, words: CaptionTokenizer
) -> data.ImageSource | None:
    """The records that can be read, with captions that fit, if any."""
    fitting = []
    for index in range(len(source)):
        try:
            record = source.read(index)
            captions = record.captions
            words.encode(captions)
            _shorter_side(record.image)
        except (OSError, ValueError):
            continue
        if captions:
            fitting.append(index)
    left_out = len(source) - len(fitting)
    if left_out and fitting:
        print(
            f"{left_out} of {len(source)} held-out records have other words, "
            "or cannot be read"
        )
    if not fitting:
        return None
    told = "whose captions can be spelled"
    return data.SourcePart(source, np.asarray(fitting), told)


def suit(
    survey: Survey,
    tokenizer: Configuration | None,
    generator: Configuration,
) -> Callable[[], list[str]]:
    """Changes both configurations to suit a data set, never to larger ones.

    Args:
        survey: `Survey`.
        tokenizer: `Configuration`, or `None` where one is used as it is.
        generator: `Configuration`.

    Returns:
        Function that tells what was chosen and why, list of lines, of the
        configurations as they are then: options may have changed them. It
        raises a `ValueError` where nearly all captions are too long.
    """
    _choose_words(survey, generator)
    different = None
    if tokenizer is not None:
        _choose_picture_size(survey, tokenizer)
        different = _choose_codes(survey, tokenizer)
        _choose_length(survey, "tokenizer", tokenizer)
    _choose_length(survey, "generator", generator)

    def told() -> list[str]:
        lines = _words_told(survey, generator)
        if tokenizer is not None:
            lines.insert(0, _picture_size_told(survey, tokenizer))
            lines.append(_codes_told(different, tokenizer))
            lines.append(_length_told(survey, "tokenizer", tokenizer))
        return [*lines, _length_told(survey, "generator", generator)]

    return told


def _choose_picture_size(survey: Survey, tokenizer: Configuration) -> None:
    height, width, channels = tokenizer.arguments["image_shape"]
    most = min(height, width)
    # Enlarged by a third at most.
    wanted = next((s for s in _SIDES if 4 * s >= 3 * survey.side), _SIDES[-1])
    if wanted < most and tokenizer.training["codebook_start"] == "patches":
        tokenizer.change("image_shape", (wanted, wanted, channels))


def _picture_size_told(survey: Survey, tokenizer: Configuration) -> str:
    height, width = tokenizer.arguments["image_shape"][:2]
    return (
        f"picture size {height}x{width}: the shorter side of pictures is "
        f"{survey.side:g} in the median"
    )


def _choose_words(survey: Survey, generator: Configuration) -> None:
    """Chooses the vocabulary and the length of captions."""
    arguments = generator.arguments
    counts = survey.words
    letters = len(set("".join(counts)))
    often = sum(count > 1 for count in counts.values())
    # A word is some merges; special tokens, and letters in two forms.
    wanted = 5 + 2 * letters + 2 * often
    size = min(arguments["text_vocabulary_size"], max(wanted, 64))
    size = max(size, min(5 + 2 * letters, arguments["text_vocabulary_size"]))
    words, tokens = survey.spelled(size)
    # All of them but one in two hundred.
    most = np.quantile(tokens, 0.995, method="higher")
    arguments["text_vocabulary_size"] = words
    arguments["text_length"] = min(_LONGEST, max(_SHORTEST, _row_of(most)))


def _row_of(tokens: Any) -> int:
    """A length that has room for so many tokens, [CLS] and [SEP]."""
    return -(-(int(tokens) + 2) // 4) * 4


def _words_told(survey: Survey, generator: Configuration) -> list[str]:
    arguments = generator.arguments
    length, counts = arguments["text_length"], survey.words
    words, tokens = survey.spelled(arguments["text_vocabulary_size"])
    left_out = int((tokens + 2 > length).sum())
    if left_out > _MOST_LEFT_OUT * len(tokens):
        raise ValueError(
            f"Captions must have at most text_length={length} tokens. "
            f"Received: {left_out} of {len(tokens)} are longer. Shorten them; "
            f"or --set generator.text_length={_row_of(tokens.max())} takes all."
        )
    often = sum(count > 1 for count in counts.values())
    told = f"; longer and left out: {left_out}" if left_out else ""
    return [
        f"vocabulary {words}: {len(counts)} words, {often} of them more than "
        "once",
        f"caption length {length} tokens: {tokens.mean():.1f} in the mean"
        f"{told}",
    ]


def _choose_codes(survey: Survey, tokenizer: Configuration) -> int | None:
    """Chooses how many codes; gives the different patches, where counted."""
    arguments = tokenizer.arguments
    most = arguments["quantizer"]["config"]["num_codes"]
    if tokenizer.training["codebook_start"] != "patches":
        return None
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
    return len(different)


def _codes_told(different: int | None, tokenizer: Configuration) -> str:
    codes = tokenizer.arguments["quantizer"]["config"]["num_codes"]
    if different is None:
        return f"codes {codes}: as the configuration has it"
    patch = tokenizer.arguments["patch_size"]
    return (
        f"codes {codes}: at least {different} different patches of "
        f"{patch}x{patch} pixels"
    )


def _patches(pixels: np.ndarray, size: int) -> set[bytes]:
    height, width, channels = pixels.shape
    grid = pixels.reshape(
        height // size, size, width // size, size, channels
    ).transpose(0, 2, 1, 3, 4)
    return {row.tobytes() for part in grid for row in part}


def _choose_length(
    survey: Survey, stage: str, configuration: Configuration
) -> None:
    settings = configuration.training
    steps = settings["steps"]
    if steps is not None:
        enough = _EPOCHS[stage] * survey.records // settings["batch_size"]
        set_steps(configuration, min(steps, max(enough, _FEWEST_STEPS)))


def _length_told(
    survey: Survey, stage: str, configuration: Configuration
) -> str:
    settings = configuration.training
    steps, size = settings["steps"], settings["batch_size"]
    if steps is None:
        return f"{stage}: {settings['epochs']} epochs"
    return (
        f"{stage}: {steps} steps of {size} pictures, "
        f"{steps * size / survey.records:.3g} times over the data"
    )


def set_steps(configuration: Configuration, steps: int) -> None:
    """Sets how long a stage is; a warm-up is a tenth of it at most."""
    settings = configuration.training
    settings["steps"] = steps
    settings["warmup_steps"] = min(settings["warmup_steps"], steps // 10)
