"""The images of a source as codes, with their captions or their classes."""

import concurrent.futures
import hashlib
import json
import pathlib
from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import numpy as np

from keras_bidalle import data
from keras_bidalle.captions import CaptionTokenizer
from keras_bidalle.configurations import Configuration
from keras_bidalle.messages import shown
from keras_bidalle.tasks.captioned_codes import CaptionedCodes
from keras_bidalle.tasks.classed_codes import ClassedCodes
from keras_bidalle.tasks.vocabulary import kept_vocabulary

_EXAMPLES = 8


class HeldOutFiles:
    """A run's folder, with files of held-out images beside the others."""

    _OF_THE_IMAGES = ("captions.json", "codes.npz")

    def __init__(self, folder: Any, description: str) -> None:
        self._folder = folder
        # A run may go on with others held out.
        digest = hashlib.sha256(description.encode()).hexdigest()
        self._prefix = f"held_out_{digest[:8]}_"

    def __truediv__(self, name: str) -> Any:
        return self._folder / self._named(name)

    def read(self, name: str) -> Any:
        return self._folder.read(self._named(name))

    def write(self, name: str, value: Any) -> None:
        self._folder.write(self._named(name), value)

    def update_metrics(self, **metrics: Any) -> None:
        self._folder.update_metrics(
            **{f"held_out_{name}": value for name, value in metrics.items()}
        )

    def _named(self, name: str) -> str:
        return self._prefix * (name in self._OF_THE_IMAGES) + name


class FittingCaptions(NamedTuple):
    """The captions of a source that a generator can learn.

    Attributes:
        tokenizer: `CaptionTokenizer` of the run, `None` where no image with a
            caption can be read.
        records: list of [index, captions] of the readable images. Captions
            that are longer than `text_length` are left out, and so are images
            that have no other.
    """

    tokenizer: CaptionTokenizer | None
    records: list[Any]


def fitting_captions(
    folder: Any, reader: data.ImageReader, configuration: Configuration
) -> FittingCaptions:
    """Reads all captions; makes the run's words where it has none.

    Raises:
        ValueError: if the vocabulary is too small for the letters.
    """
    arguments = configuration.arguments
    records = _records(folder, reader)
    if not records:
        return FittingCaptions(None, [])
    tokenizer = kept_vocabulary(
        folder,
        (text for _, lines in records for text in lines),
        arguments["text_vocabulary_size"],
        arguments["text_length"],
    )
    return FittingCaptions(
        tokenizer, _fitting(records, tokenizer, reader.source)
    )


def check_any(captions: FittingCaptions, reader: data.ImageReader) -> None:
    """Raises a `ValueError` unless there is a caption to learn."""
    if captions.tokenizer is None:
        raise _unreadable(reader, "picture with a caption")
    if not captions.records:
        raise ValueError(
            "No caption of the data set fits into "
            f"text_length={captions.tokenizer.max_length} tokens; "
            "--set text_length=..."
        )


class CaptionedImages(CaptionedCodes):
    """The readable images of a source, with those captions that fit.

    Both are made once and kept in the run's folder.
    """

    def __init__(
        self,
        folder: Any,
        reader: data.ImageReader,
        image_tokenizer: Any,
        captions: FittingCaptions,
        dropout: float,
    ) -> None:
        kept = captions.records
        self.lines = [lines for _, lines in kept]
        self.dropout = dropout
        codes = _encoded(
            folder, reader, image_tokenizer, [index for index, _ in kept]
        )
        super().__init__(
            captions.tokenizer,
            codes,
            captions=[lines[0] for lines in self.lines[:_EXAMPLES]],
            images=image_tokenizer.decode(codes[:_EXAMPLES]),
        )

    def caption_tokens(
        self, chosen: np.ndarray, rng: np.random.Generator
    ) -> np.ndarray:
        lines = [
            self.lines[i][rng.integers(len(self.lines[i]))] for i in chosen
        ]
        seed = int(rng.integers(2**31))
        return self.caption_tokenizer.encode(
            lines, dropout=self.dropout, seed=seed
        )


def has_captions(configuration: Configuration) -> bool:
    """Whether a generator has captions, and not a class or nothing.

    Raises:
        ValueError: if its captions have no place for a word, or a class
            could be taken for padding.
    """
    arguments = configuration.arguments
    for name in ("text_vocabulary_size", "text_length"):
        if not isinstance(arguments.get(name), int):
            raise ValueError(
                f"The configuration must have an integer `{name}`. "
                f"Received: {name}={shown(arguments.get(name))}"
            )
    length = arguments["text_length"]
    if length == 1 and arguments.get("pad_id", 0) is None:
        return False
    if length < 3:
        raise ValueError(
            "`text_length` must be at least 3, for captions, or 1 with "
            f"pad_id=null, for a class. Received: text_length={length}; "
            "--set text_length=32 gives captions of 32 tokens."
        )
    return True


def classed_images(
    folder: Any, reader: data.ImageReader, image_tokenizer: Any, most: int
) -> ClassedCodes:
    """Images of classes: their captions, or the folders they lie in."""
    records = _records(folder, reader, captions=False)
    if not records:
        raise _unreadable(reader, "picture")

    def class_of(index: int, lines: list[str]) -> str:
        name = pathlib.PurePath(reader.source.name(index)).parent.name
        return "" if most == 1 else lines[0] if lines else name

    names = [class_of(*record) for record in records]
    classes = sorted(set(names))
    if len(classes) > most:
        raise ValueError(
            f"The data set has {len(classes)} classes, such as "
            f"{classes[0][:40]!r}, more than text_vocabulary_size={most}; "
            f"--set text_vocabulary_size={len(classes)}"
        )
    kept = folder.read("classes.json")
    held_out = isinstance(folder, HeldOutFiles)
    if kept is None:
        folder.write("classes.json", classes)
    elif held_out and set(classes) <= set(kept):
        classes = kept
    elif kept != classes:
        raise ValueError(
            f"{folder / 'classes.json'} has other classes than the data set: "
            "begin a new run with another --name."
        )
    if most > 1:
        print(f"{len(classes)} classes, of which images are drawn")
    codes = _encoded(
        folder, reader, image_tokenizer, [index for index, _ in records]
    )
    numbers = [classes.index(name) for name in names]
    images = image_tokenizer.decode(codes[:_EXAMPLES])
    return ClassedCodes(classes, np.asarray(numbers), codes, images)


def _fitting(
    records: list[Any], tokenizer: CaptionTokenizer, source: data.ImageSource
) -> list[Any]:
    """The records with those captions that fit; tells what is left out."""
    room = tokenizer.max_length - 2
    lengths, refused, kept = [], [], []
    for index, lines in records:
        fitting = []
        for line in lines:
            try:
                lengths.append(len(tokenizer.tokens_of(line)))
            except ValueError as error:
                refused.append(f"{source.name(index)}: {error}")
                continue
            if 0 < lengths[-1] <= room:
                fitting.append(line)
        if fitting:
            kept.append((index, fitting))
    total, long = len(lengths) + len(refused), sum(n > room for n in lengths)
    if lengths:
        print(
            f"captions: {total}, of {np.mean(lengths):.1f} tokens in the mean "
            f"({tokenizer.vocabulary_size} in the vocabulary)"
        )
    if long:
        print(
            f"{long} of {total} captions are longer than "
            f"text_length={tokenizer.max_length} tokens and left out"
        )
    if refused:
        told = " ".join(refused[0].split())[:200]
        print(f"{len(refused)} of {total} captions are left out: {told}")
    return kept


def _encoded(
    folder: Any,
    reader: data.ImageReader,
    image_tokenizer: Any,
    indices: list[int],
) -> np.ndarray:
    def make_images(first: int, last: int) -> np.ndarray:
        rows = in_threads(reader.read, indices[first:last])
        if any(row is None for row in rows):
            raise data.ImageError(
                "A picture cannot be read any more. " + reader.report()
            )
        return np.stack([pixels for pixels, _ in rows])

    # What was cut out, and which images: those decide the codes too.
    what = json.dumps([vars(reader.crop), indices], default=str)
    digest = hashlib.sha256(what.encode()).hexdigest()
    progress = keras.utils.Progbar(len(indices), unit_name="picture")
    return data.cached_codes(
        folder / "codes.npz",
        image_tokenizer,
        make_images,
        len(indices),
        source=f"{reader.source.description} {digest}",
        progress=progress.update,
    )


def _records(
    folder: Any, reader: data.ImageReader, captions: bool = True
) -> list[Any]:
    """[index, captions] of each record whose image can be opened."""
    records = folder.read("captions.json")
    if records is None:
        records = _readable(reader, captions)
        folder.write("captions.json", records)
        if reader.skipped:
            print(reader.report())
    return records


def _readable(reader: data.ImageReader, captions: bool) -> list[Any]:

    def captions_of(index: int) -> Any:
        # Opened here and once more for its codes: what is skipped is then
        # known before anything is trained.
        if reader.read(index) is None:
            return None
        return [index, reader.source.read(index).captions]

    rows = in_threads(captions_of, range(len(reader.source)))
    return [row for row in rows if row and (row[1] or not captions)]


def _unreadable(reader: data.ImageReader, kind: str) -> data.ImageError:
    return data.ImageError(
        f"No {kind} of {reader.source.description} can be read. "
        f"{reader.report()}"
    )


def in_threads(function: Callable[[Any], Any], items: Any) -> list[Any]:
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        return list(pool.map(function, items))
