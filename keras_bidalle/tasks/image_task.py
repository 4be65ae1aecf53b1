"""The task of any images with captions: nothing but to be like them."""

from collections.abc import Callable
from typing import Any

import numpy as np

from keras_bidalle import data
from keras_bidalle.configurations import Configuration
from keras_bidalle.image_tokenizers import PatchVQGAN, start_from_patches
from keras_bidalle.tasks.captioned_codes import CaptionedCodes
from keras_bidalle.tasks.image_rows import (
    CaptionedImages,
    FittingCaptions,
    HeldOutFiles,
    check_any,
    classed_images,
    fitting_captions,
    has_captions,
    in_threads,
)
from keras_bidalle.tasks.task import Task

_EXAMPLES = 8
_HELD_OUT = 1024
# Of pictures that a tokenizer's start looks at.
_START_PIXELS = 1 << 23


class ImageTask(Task):
    """Trains on the images of a source; measures nothing.

    Args:
        source: `keras_bidalle.data.ImageSource`.
        settings: dict of settings of training, of which `crop` and
            `crop_arguments` say how images are cut.
        held_out: `ImageSource` that is not trained on, or `None`: of no more
            than 1,024 images of it, models are judged while they train.
    """

    def __init__(
        self,
        source: data.ImageSource,
        settings: dict[str, Any],
        held_out: data.ImageSource | None = None,
    ) -> None:
        self.source = source
        self._held_out = held_out
        self.description = source.description
        self._settings = settings
        count = 0 if held_out is None else len(held_out)
        self.held_out_count = min(count, _HELD_OUT)
        self._readers: dict[tuple[int, ...], data.ImageReader] = {}
        # By where they are kept: read before stage 1, used after it.
        self._captions: dict[Any, FittingCaptions] = {}

    def __len__(self) -> int:
        return len(self.source)

    def reader(self, image_shape: tuple[int, ...]) -> data.ImageReader:
        """Reads images, cut as the settings say.

        Raises:
            ValueError: if there is no such crop, or it has other channels
                than pictures have.
        """
        if image_shape not in self._readers:
            reader = self._reader_of(self.source, image_shape)
            self._readers[image_shape] = reader
        return self._readers[image_shape]

    def _reader_of(
        self, source: data.ImageSource, image_shape: tuple[int, ...]
    ) -> data.ImageReader:
        size = (image_shape[0], image_shape[1])
        crop = data.crop_named(
            self._settings["crop"], size, self._settings["crop_arguments"]
        )
        return data.ImageReader(source, crop, image_shape[-1])

    def _held_out_reader(
        self, image_shape: tuple[int, ...]
    ) -> data.ImageReader | None:
        if self._held_out is None:
            return None
        source = self._held_out
        if len(source) > _HELD_OUT:
            chosen = np.linspace(0, len(source) - 1, _HELD_OUT).astype(int)
            source = data.SourcePart(source, chosen, f"{_HELD_OUT} of them")
        return self._reader_of(source, image_shape)

    def held_out(self, image_shape: tuple[int, ...]) -> np.ndarray | None:
        """The held-out images, cut as for evaluation.

        `None` where none can be read, which is told.
        """
        reader = self._held_out_reader(image_shape)
        if reader is None:
            return None
        rows = in_threads(reader.read, range(len(reader.source)))
        found = [row[0] for row in rows if row is not None]
        if reader.skipped:
            print(reader.report())
        if not found:
            print("no held-out picture can be read: nothing to judge by")
            return None
        return np.stack(found)

    def tell_skipped(self) -> None:
        """Prints which images could not be read, and why."""
        for reader in self._readers.values():
            if reader.skipped:
                print(reader.report())

    def start_tokenizer(self, tokenizer: Any) -> None:
        """Starts a `PatchVQGAN` from patches, where the settings say so.

        Raises:
            ValueError: if it is of another class, or the pictures have fewer
                different patches than it has codes.
        """
        if self._settings.get("codebook_start") is None:
            return
        if not isinstance(tokenizer, PatchVQGAN):
            raise ValueError(
                "`codebook_start` must be null but for a PatchVQGAN. "
                f"Received: {type(tokenizer).__name__}"
            )
        images = self.some_images(tokenizer.image_shape)
        print("the tokenizer starts from k-means of patches")
        start_from_patches(tokenizer, images)

    def some_images(self, image_shape: tuple[int, ...]) -> np.ndarray:
        """As many pictures as patches are taken of: uint8 (n, H, W, C)."""
        reader = self.reader(image_shape)
        most = max(1, _START_PIXELS // (image_shape[0] * image_shape[1]))
        count = min(len(self), most)
        chosen = np.linspace(0, len(self) - 1, count).astype(int)
        rows = in_threads(reader.read, chosen.tolist())
        return np.stack([row[0] for row in rows if row is not None])

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

    def read_captions(
        self,
        folder: Any,
        image_shape: tuple[int, ...],
        configuration: Configuration,
    ) -> None:
        if not has_captions(configuration):
            return
        reader = self.reader(image_shape)
        check_any(self._captions_of(folder, reader, configuration), reader)
        apart = self._held_out_reader(image_shape)
        if apart is None:
            return
        files = HeldOutFiles(folder, apart.source.description)
        if not self._captions_of(files, apart, configuration).records:
            print("no held-out caption can be learned: nothing to judge by")

    def _captions_of(
        self, files: Any, reader: data.ImageReader, configuration: Configuration
    ) -> FittingCaptions:
        """Those of the images, or of the held-out ones, read once."""
        what = configuration.arguments
        key = (
            str(files / "captions.json"),
            *(what[name] for name in ("text_vocabulary_size", "text_length")),
        )
        if key not in self._captions:
            self._captions[key] = fitting_captions(files, reader, configuration)
        return self._captions[key]

    def captioned_codes(
        self, folder: Any, image_tokenizer: Any, configuration: Configuration
    ) -> CaptionedCodes:
        reader = self.reader(image_tokenizer.image_shape)
        if has_captions(configuration):
            check_any(self._captions_of(folder, reader, configuration), reader)
        return self._rows_of(reader, folder, image_tokenizer, configuration)

    def held_out_codes(
        self,
        folder: Any,
        image_tokenizer: Any,
        configuration: Configuration,
        rows: Any,
    ) -> CaptionedCodes | None:
        reader = self._held_out_reader(image_tokenizer.image_shape)
        if reader is None:
            return None
        files = HeldOutFiles(folder, reader.source.description)
        if (
            has_captions(configuration)
            and not self._captions_of(files, reader, configuration).records
        ):
            return None
        held_out = self._rows_of(reader, files, image_tokenizer, configuration)
        if isinstance(held_out, CaptionedImages):
            held_out.dropout = 0.0
        return held_out

    def _rows_of(
        self,
        reader: data.ImageReader,
        folder: Any,
        image_tokenizer: Any,
        configuration: Configuration,
    ) -> CaptionedCodes:
        if not has_captions(configuration):
            return classed_images(
                folder,
                reader,
                image_tokenizer,
                configuration.arguments["text_vocabulary_size"],
            )
        return CaptionedImages(
            folder,
            reader,
            image_tokenizer,
            self._captions_of(folder, reader, configuration),
            configuration.training["bpe_dropout"],
        )
