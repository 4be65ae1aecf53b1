"""The task of any images with captions: nothing but to be like them."""

import concurrent.futures
import hashlib
import json
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from keras_bidalle import captions, data
from keras_bidalle.configurations import Configuration
from keras_bidalle.tasks.captioned_codes import CaptionedCodes
from keras_bidalle.tasks.task import Task

_EXAMPLES = 8


class ImageTask(Task):
    """Trains on the images of a source; measures nothing.

    Args:
        source: `keras_bidalle.data.ImageSource`.
        settings: dict of settings of training, of which `crop` and
            `crop_arguments` say how images are cut.
    """

    def __init__(
        self, source: data.ImageSource, settings: dict[str, Any]
    ) -> None:
        self.source = source
        self.description = source.description
        self._settings = settings
        self._readers: dict[tuple[int, ...], data.ImageReader] = {}

    def __len__(self) -> int:
        return len(self.source)

    def reader(self, image_shape: tuple[int, ...]) -> data.ImageReader:
        """Reads images, cut as the settings say.

        Raises:
            ValueError: if there is no such crop.
        """
        size = (image_shape[0], image_shape[1])
        if size not in self._readers:
            crop = data.crop_named(
                self._settings["crop"], size, self._settings["crop_arguments"]
            )
            self._readers[size] = data.ImageReader(self.source, crop)
        return self._readers[size]

    def tell_skipped(self) -> None:
        """Prints which images could not be read, and why."""
        for reader in self._readers.values():
            if reader.skipped:
                print(reader.report())

    def tokenizer_batches(
        self, tokenizer: Any, settings: dict[str, Any], seed: int
    ) -> Callable[[int], np.ndarray]:
        return data.ImageBatches(
            self.reader(tokenizer.image_shape),
            data.rows_per_process(settings["batch_size"]),
            seed=seed,
        )

    def examples(self, image_shape: tuple[int, ...]) -> np.ndarray:
        """The first images that can be read, cut as for evaluation.

        Raises:
            keras_bidalle.data.ImageError: when none can be read.
        """
        reader = self.reader(image_shape)
        found: list[np.ndarray] = []
        for index in range(len(self)):
            row = reader.read(index)
            if row is not None:
                found.append(row[0])
            if len(found) == _EXAMPLES:
                break
        if not found:
            raise data.ImageError(
                f"No picture of {self.description} can be read. "
                f"{reader.report()}"
            )
        return np.stack(found)

    def captioned_codes(
        self, folder: Any, image_tokenizer: Any, configuration: Configuration
    ) -> CaptionedCodes:
        return _CaptionedImages(
            folder,
            self.reader(image_tokenizer.image_shape),
            image_tokenizer,
            configuration.arguments["text_vocabulary_size"],
            configuration.arguments["text_length"],
            configuration.training["bpe_dropout"],
        )


class _CaptionedImages(CaptionedCodes):
    """The readable images of a source, with those captions that fit.

    Both are made once and kept in the run's folder. Captions that are longer
    than `text_length` are left out, and so are images that have no other.
    """

    def __init__(
        self,
        folder: Any,
        reader: data.ImageReader,
        image_tokenizer: Any,
        vocabulary_size: int,
        text_length: int,
        dropout: float,
    ) -> None:
        records = folder.read("captions.json")
        if records is None:
            records = _readable(reader)
            folder.write("captions.json", records)
            if reader.skipped:
                print(reader.report())
        tokenizer = captions.CaptionTokenizer.from_captions(
            (text for _, lines in records for text in lines),
            vocabulary_size,
            text_length,
        )

        def fits(caption: str) -> bool:
            return 0 < len(tokenizer.tokens_of(caption)) <= text_length - 2

        kept = [
            (index, [line for line in lines if fits(line)])
            for index, lines in records
        ]
        kept = [(index, lines) for index, lines in kept if lines]
        total = sum(len(lines) for _, lines in records)
        fitting = sum(len(lines) for _, lines in kept)
        if fitting < total:
            print(
                f"{total - fitting} of {total} captions are longer than "
                f"text_length={text_length} tokens and left out"
            )
        if not kept:
            raise ValueError(
                "No caption of the data set fits into "
                f"text_length={text_length} tokens; --set text_length=..."
            )
        self.lines = [lines for _, lines in kept]
        self.dropout = dropout
        codes = _encoded(
            folder, reader, image_tokenizer, [index for index, _ in kept]
        )
        super().__init__(
            tokenizer,
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


def _encoded(
    folder: Any,
    reader: data.ImageReader,
    image_tokenizer: Any,
    indices: list[int],
) -> np.ndarray:
    def make_images(first: int, last: int) -> np.ndarray:
        rows = _in_threads(reader.read, indices[first:last])
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


def _readable(reader: data.ImageReader) -> list[Any]:
    """[index, captions] of each record whose image can be opened."""

    def captions_of(index: int) -> Any:
        # Opened here and once more for its codes: what is skipped is then
        # known before anything is trained.
        if reader.read(index) is None:
            return None
        return [index, reader.source.read(index).captions]

    rows = _in_threads(captions_of, range(len(reader.source)))
    rows = [row for row in rows if row is not None and row[1]]
    if not rows:
        raise data.ImageError(
            f"No picture with a caption of {reader.source.description} can "
            f"be read. {reader.report()}"
        )
    return rows


def _in_threads(function: Callable[[Any], Any], items: Any) -> list[Any]:
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        return list(pool.map(function, items))
