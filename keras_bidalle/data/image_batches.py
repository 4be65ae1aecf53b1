"""Batches of a data set's images, the same again after a restart.

Batch number i depends on the seed and i alone, as
`keras_bidalle.data.as_dataset` wants it: which records it has, how they are
cut, which of their captions is drawn.
"""

import concurrent.futures
import functools
from collections.abc import Callable

import numpy as np

from keras_bidalle.backend import replicas
from keras_bidalle.data.image_opening import ImageError, open_image
from keras_bidalle.data.image_source import MIXED_BLOCKS, ImageSource
from keras_bidalle.messages import one_line
from keras_bidalle.validation import check_positive, refused


class ImageReader:
    """Opens and cuts the images of a source, and counts what it cannot.

    Args:
        source: `ImageSource`.
        crop: callable from a `PIL.Image.Image` and a
            `numpy.random.Generator` or `None` to uint8 (H, W, 3), such as
            `RandomCrop`.
        channels: int C, 3 or 1, which is the luma of ITU-R 601.

    Raises:
        ValueError: on another number of channels.

    Attributes:
        skipped: dict from the name of each image that could not be read to
            the reason, each reported once, however often it was met.
    """

    def __init__(
        self,
        source: ImageSource,
        crop: Callable[..., np.ndarray],
        channels: int = 3,
    ) -> None:
        if channels not in (1, 3):
            raise ValueError(
                "Pictures are read with 1 or 3 channels: the last number of "
                f"`image_shape`. Received: channels={channels}"
            )
        self.source = source
        self.crop = crop
        self.channels = channels
        self.skipped = {}

    def read(
        self, index: int, rng: np.random.Generator | None = None
    ) -> tuple[np.ndarray, str] | None:
        """Reads a record.

        Args:
            index: int.
            rng: `numpy.random.Generator` for training: a random crop and one
                of the captions. `None` for evaluation: the middle, and the
                first caption.

        Returns:
            Tuple of uint8 (H, W, C) and the caption, `""` without one; or
            `None` when the image cannot be read.
        """
        name = self.source.name(index)
        try:
            record = self.source.read(index)
            pixels = self.crop(open_image(record.image, name), rng)
            if self.channels == 1:
                pixels = _luma(pixels)
        except (OSError, ImageError) as error:
            reason = one_line(str(error))
            self.skipped.setdefault(name, reason.removeprefix(f"{name}: "))
            return None
        captions = record.captions or [""]
        chosen = 0 if rng is None else int(rng.integers(len(captions)))
        return pixels, captions[chosen]

    def report(self) -> str:
        """What was skipped and why: str, one line each, `""` for nothing."""
        if not self.skipped:
            return ""
        lines = [f"  {name}: {why}" for name, why in self.skipped.items()]
        return "\n".join([f"skipped {len(lines)} images:", *sorted(lines)])


class ImageBatches:
    """A function from batch number to uint8 images, for `as_dataset`.

    Every epoch goes through all records in another order. A record that
    cannot be read is replaced by the next that can, and counted in `reader`.
    Replicas with the same `seed` and `batch_size` see together what one with
    a batch as large as theirs together would have: their records, cuts and
    captions do not repeat each other. Where they cannot share an epoch
    evenly, the records that are left over (others each time) are not seen.

    Args:
        reader: `ImageReader`.
        batch_size: int, images a batch on this replica.
        seed: non-negative int.
        shard: pair of ints (k, n): of every n records this replica sees the
            k-th, so that n replicas share each epoch without overlap. By
            default what `keras_bidalle.backend.replicas` knows.
        workers: int, threads that open images.

    Example:

    ```python
    reader = ImageReader(ImageFolder("photos"), RandomCrop(256, flip=True))
    batches = ImageBatches(reader, batch_size=32, seed=0)
    tokenizer.fit(as_dataset(batches), steps_per_epoch=1000, shuffle=False)
    print(reader.report())
    ```
    """

    def __init__(
        self,
        reader: ImageReader,
        batch_size: int,
        seed: int = 0,
        shard: tuple[int, int] | None = None,
        workers: int = 4,
    ) -> None:
        check_positive(batch_size=batch_size)
        if not isinstance(seed, int) or seed < 0:
            raise refused("be a non-negative integer", seed=seed)
        index, count = replicas.data_shard() if shard is None else shard
        if not 0 <= index < count:
            raise refused("be (k, n) with 0 <= k < n", shard=(index, count))
        if len(reader.source) < count:
            raise ValueError(
                f"{count} replicas cannot share {len(reader.source)} images."
            )
        self.reader = reader
        self.batch_size = batch_size
        self.seed = seed
        self.shard = (index, count)
        self.workers = workers

    @property
    def records_per_epoch(self) -> int:
        """int, how many records of an epoch this replica sees."""
        return len(self.reader.source) // self.shard[1]

    def __call__(self, number):
        """Returns batch `number`: uint8 (batch_size, H, W, 3)."""
        return self.pairs(number)[0]

    def pairs(self, number: int) -> tuple[np.ndarray, list[str]]:
        """Returns batch `number` with captions.

        Args:
            number: non-negative int.

        Returns:
            Tuple of uint8 (batch_size, H, W, 3) and a list of str.

        Raises:
            ImageError: when no image of the data set can be read.
        """
        first = number * self.batch_size
        positions = range(first, first + self.batch_size)
        # For a row alone the threads would cost more than they save.
        threads = self.workers > 1 and self.batch_size > 1
        rows = (self._pool.map if threads else map)(self._at, positions)
        pixels, captions = zip(*rows, strict=True)
        return np.stack(pixels), list(captions)

    @functools.cached_property
    def _pool(self):
        return concurrent.futures.ThreadPoolExecutor(self.workers)

    def _at(self, position):
        """The record at a place of the endless order, or the next one."""
        index, count = self.shard
        for step in range(self.records_per_epoch):
            # Numbered over all replicas, or all would draw the same.
            place = position * count + index
            rng = np.random.default_rng((self.seed, 1, place))
            epoch, place = divmod(position + step, self.records_per_epoch)
            row = self.reader.read(self._order(epoch)[place], rng)
            if row is not None:
                return row
        raise ImageError(
            f"No image of {self.reader.source.description} can be read, "
            f"the last one because: {list(self.reader.skipped.values())[-1]}"
        )

    @functools.cached_property
    def _order(self):
        # A batch of a small data set may lie in several epochs.
        return functools.lru_cache(maxsize=4)(self._epoch_order)

    def _epoch_order(self, epoch):
        """This replica's records of an epoch, in their order."""
        source = self.reader.source
        seed = self.seed, 0, epoch
        whole = block_shuffled(len(source), source.block_size, seed)
        index, count = self.shard
        return whole[index::count][: self.records_per_epoch]


def _luma(pixels):
    """uint8 (H, W, 3) to (H, W, 1), as Pillow makes gray."""
    weights = np.asarray([19595, 38470, 7471], "uint32")
    gray = (pixels.astype("uint32") @ weights + 0x8000) >> 16
    return gray[..., None].astype("uint8")


def block_shuffled(count, block_size, seed, window=MIXED_BLOCKS):
    """A random order of blocks; records of `window` blocks are mixed."""
    rng = np.random.default_rng(seed)
    if block_size == 1:
        return rng.permutation(count)
    blocks = rng.permutation(-(-count // block_size))
    order = (blocks[:, None] * block_size + np.arange(block_size)).ravel()
    order = order[order < count]
    span = block_size * window
    starts = range(0, count, span)
    return np.concatenate(
        [rng.permutation(order[i : i + span]) for i in starts]
    )
