"""What the demo page answers: pictures of captions, captions of pictures."""

import collections
import numbers
import os
import pathlib
import sys

import numpy as np
from demo_examples import examples_for, styles_for
from keras import ops

from keras_bidalle import data, evaluation, metrics
from keras_bidalle.data.caption_files import read_caption_lines
from keras_bidalle.files import as_path
from keras_bidalle.messages import shown
from keras_bidalle.sampling.settings import (
    SETTINGS,
    TEXT_TO_IMAGE,
    without_neutral,
)
from keras_bidalle.tasks.emoji.captions import plain, styled
from keras_bidalle.tasks.emoji.nearest import NearestPictures

# What one visitor may ask for.
MAX_PICTURES, MAX_CAPTION, MAX_UPLOAD = 8, 1000, 16 * 2**20
# Captions that a model writes to choose from, and how many are shown.
WRITTEN, SHOWN_CAPTIONS = 48, 10
# Of an operator's own captions, so many are offered.
OFFERED = 20


class Answers:
    """What one model answers to visitors.

    Args:
        model: `keras_bidalle.TextImageModel`.
        examples: list of str, captions to offer; by default those of a task
            that the model knows, or some of `candidates` or `references`.
        candidates: `CaptionFile`, what a picture may show; by default what
            the model writes of it.
        references: `References`, what drawn pictures are compared with.
    """

    def __init__(self, model, examples=None, candidates=None, references=None):
        self.model = model
        self.candidates = candidates
        self.references = references
        tokenizer = model.caption_tokenizer
        self.styles = styles_for(tokenizer)
        self.examples = examples or examples_for(tokenizer)
        own = candidates or references
        if not self.examples and own:
            different = dict.fromkeys(own.captions)
            known = list(filter(tokenizer.takes, different))
            self.examples = known[:: max(1, len(known) // OFFERED)][:OFFERED]

    def draw(self, caption, seed, count, settings, style=None):
        """Draws pictures of a caption, and yields them while they grow.

        Picture j, counted from 0, has seed `seed` + j: the last that is
        yielded is what `text_to_image` draws with it.

        Yields:
            uint8 array (count, H, W, C).
        """
        count = whole("Pictures", count)
        if not 1 <= count <= MAX_PICTURES:
            raise ValueError(
                f"At most {MAX_PICTURES} pictures at once, please. "
                f"Received: {shown(count)}"
            )
        if not isinstance(caption, str) or len(caption) > MAX_CAPTION:
            raise ValueError(
                f"A caption of at most {MAX_CAPTION} characters, please. "
                f"Received: {shown(caption)}"
            )
        if style in self.styles:
            # Errors tell of what was typed; a style alone is no caption.
            self.model.caption_tokenizer.encode([caption])
            caption = styled(caption, style)
        return self.model.stream_text_to_image(
            [caption] * count,
            seed=seeds(seed, count),
            **without_neutral(settings),
        )

    def read(self, picture, seed, settings):
        """Writes the caption of an image file: str."""
        return self.model.image_to_text(
            self._pixels(picture)[None],
            seed=whole("Seed", seed),
            **without_neutral(settings),
        )[0]

    def likeliest(self, picture, seed, progress=None):
        """Finds the likeliest captions of an image file.

        Args:
            picture: str or `pathlib.Path`.
            seed: int, of the captions that are written.
            progress: function of how many captions are scored, and of how
                many.

        Returns:
            Tuple of a list of tuples of caption and odds, a str and a float,
            and of what the odds are, a str.
        """
        pixels = self._pixels(picture)
        if self.candidates is None:
            captions = evaluation.written_captions(
                self.model, pixels, WRITTEN, seed=whole("Seed", seed)
            )
            source = f"that the model wrote in {WRITTEN} samples"
        else:
            captions = self.candidates.captions
            source = f"of {self.candidates.name}"
        if not captions:
            return [], f"The model ended no caption in {WRITTEN} samples."
        found = evaluation.likeliest_captions(
            self.model,
            pixels,
            captions,
            progress=progress and (lambda n: progress(n, len(captions))),
        )
        return found[:SHOWN_CAPTIONS], (
            "How likely the model finds each, given the picture, as a share "
            f"of all {len(found):,} captions {source}."
        )

    def _pixels(self, picture):
        if picture is None:
            raise ValueError("Upload a picture first. Received: none")
        # What is no file is told of by the one who opens it.
        is_path = isinstance(picture, str | os.PathLike)
        size = 0
        if is_path and os.path.isfile(picture):
            size = os.path.getsize(picture)
        if size > MAX_UPLOAD:
            raise ValueError(
                f"A picture of at most {MAX_UPLOAD // 2**20} MiB, please. "
                f"Received: {size / 2**20:.1f} MiB"
            )
        crop = data.CenterCrop(self.model.image_tokenizer.image_shape[:2])
        return crop(data.open_image(picture))


class CaptionFile:
    """Captions of a text file, one a line, that a model takes.

    Raises:
        ValueError: when there are none.
        OSError: when the file cannot be read.
    """

    def __init__(self, path, tokenizer):
        path = as_path("--captions", path)
        self.name = path.name
        content = path.read_bytes()
        lines = dict.fromkeys(read_caption_lines(content, self.name))
        self.captions = list(filter(tokenizer.takes, lines))
        left_out = len(lines) - len(self.captions)
        if not self.captions:
            raise ValueError(
                "--captions must be a file with a caption a line, of words "
                f"that the model knows. Received: {shown(str(path))}"
            )
        if left_out:
            print(
                f"{left_out} captions of {self.name} are left out: the model "
                "does not take them",
                file=sys.stderr,
            )


class References:
    """The pictures of a captioned folder, to compare drawn ones with.

    Args:
        folder: str or `pathlib.Path`, as `data.captioned_folder` takes it.
        image_shape: tuple (H, W, C), of what is drawn.
        captions: str or `pathlib.Path`, their file, where there are several.

    Raises:
        ValueError: when no picture can be read, or as `captioned_folder`.
        FileNotFoundError: as `captioned_folder`.
    """

    def __init__(self, folder, image_shape, captions=None):
        self.name = pathlib.Path(folder).resolve().name
        source = data.captioned_folder(folder, captions)
        examples = evaluation.Examples(source, image_shape)
        rows = examples.read(range(len(examples)))
        for name, reason in examples.skipped.items():
            print(f"{name} is left out: {reason}", file=sys.stderr)
        if not rows.captions:
            raise ValueError(
                "--pictures must be a folder with pictures that can be read. "
                f"Received: {shown(str(folder))}"
            )
        self.images = rows.images
        self.captions = [captions[0] for captions in rows.captions]
        self._nearest = NearestPictures(self.images)
        self._places = collections.defaultdict(list)
        for place, captions in enumerate(rows.captions):
            for caption in {*map(plain, captions)}:
                self._places[caption].append(place)

    def nearest(self, caption, pictures):
        """Finds the nearest picture with a caption, else of all.

        Captions are the same whatever their case and style.

        Args:
            caption: str.
            pictures: uint8 array (B, H, W, C).

        Returns:
            Tuple of a list of B tuples of the picture's pixels, its caption
            and the PSNR between the two in dB, a float, and of where it was
            looked for, a str.
        """
        same = self._places.get(plain(caption))
        if same:
            nearest, _ = NearestPictures(self.images[same])(pictures)
            found = np.asarray(same)[nearest]
            count = len(same)
            among = f"{count} pictures" if count > 1 else "the one picture"
            among += " with this caption"
        else:
            found, _ = self._nearest(pictures)
            among = (
                f"all {len(self.images):,} pictures, none of which has this "
                "caption"
            )
        decibels = metrics.psnr(pictures, self.images[found])
        rows = [
            (self.images[place], self.captions[place], float(psnr))
            for place, psnr in zip(
                found, ops.convert_to_numpy(decibels), strict=True
            )
        ]
        names = dict.fromkeys(f'"{name}"' for _, name, _ in rows)
        return rows, (
            f"The nearest in {self.name} of {among}: {', '.join(names)}. "
            "PSNR tells how near: the higher, the nearer."
        )


def seeds(first, count):
    """The seeds of so many pictures: list of int. Without a first, from 0."""
    first = whole("Seed", first)
    return [first + number for number in range(count)]


def whole(name, value):
    """What a form has under a name, as an int; an empty field is 0."""
    if value is None:
        return 0
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real) and float(value).is_integer():
        return int(value)
    raise ValueError(f"{name} must be a whole number. Received: {shown(value)}")


def offered_settings(model, direction):
    """What the page offers: dict from name to `Setting`."""

    def offered(setting):
        if setting.needs is None:
            return True
        # Guidance is twice the work, and captions do well without it.
        drawn = direction == TEXT_TO_IMAGE
        return drawn and bool(getattr(model.generator, setting.needs))

    return {name: each for name, each in SETTINGS.items() if offered(each)}


def slider(setting, direction, own):
    """What `gradio.Slider` takes for a setting, given a model's defaults."""
    value = setting.default(direction, own)
    step = 1 if setting.kind is int else 0.05
    low = setting.low + step if setting.excludes_low else setting.low
    if setting.neutral is not None:
        low = min(low, setting.neutral)
    return {
        "minimum": low,
        "maximum": max(setting.examples),
        "value": setting.examples[0] if value is None else value,
        "step": step,
        "label": setting.name.replace("_", " ").capitalize(),
        "info": setting.meaning,
    }
