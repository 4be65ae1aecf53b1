"""Images that are compared with data as a set: saved ones, those of classes."""

import os
import pathlib
import re
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np

from keras_bidalle.data import ImageFolder, ImageSource, Record
from keras_bidalle.evaluation.examples import Rows
from keras_bidalle.files import atomic_path
from keras_bidalle.metrics.extractors import Extractor
from keras_bidalle.validation import check_positive, refused

# Between the header of a zip file's member and its bytes (PKWARE, 4.3.7).
_HEADER, _NAME_AT = 30, 26
_MEMBER = "arr_0.npy"


class SavedImages(ImageSource):
    """Saved samples: an npz as ADM's evaluator takes it, or a folder.

    Arrays that are stored uncompressed are read as they are asked for, so
    50,000 samples take no memory. Files of a folder are ordered by the
    numbers in their names: 2.png comes before 10.png.

    Args:
        path: str or `pathlib.Path`: an `.npz` with `arr_0`, uint8 (N, H, W,
            3); or a folder of pictures.

    Raises:
        FileNotFoundError: when there is neither.
        ValueError: when the file holds something else.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = pathlib.Path(path)
        self._images: Any = None
        self._captions: Any = None
        self._folder: Any = None
        if os.path.isdir(self.path):
            self._folder = ImageFolder(self.path)
            names = [self._folder.name(i) for i in range(len(self._folder))]
            self._order = sorted(
                range(len(names)), key=lambda i: _by_numbers(names[i])
            )
            self.description = f"samples, {self._folder.description}"
            return
        if not os.path.isfile(self.path):
            raise FileNotFoundError(
                "There are no samples (an npz, or a folder of pictures) "
                f"{str(self.path)!r}."
            )
        self._images = _stored_images(self.path)
        stamp = self.path.stat()
        self.description = (
            f"{len(self)} samples in {self.path.name} "
            f"({stamp.st_size} {stamp.st_mtime_ns})"
        )

    def caption_with(self, source: ImageSource | None) -> None:
        """Takes the captions of a source: sample i has those of record i.

        Raises:
            ValueError: when there are not as many.
        """
        count = 0 if source is None else len(source)
        if count != len(self):
            raise ValueError(
                "Samples are captioned by data of as many records, "
                f"{len(self)}. Received: {count}"
            )
        self._captions = source

    def __len__(self) -> int:
        return len(self._folder if self._images is None else self._images)

    def name(self, index: int) -> str:
        if self._images is None:
            return self._folder.name(self._order[index])
        return f"{self.path.name} sample {index}"

    def read(self, index: int) -> Record:
        captions = []
        if self._captions is not None:
            captions = self._captions.read(index).captions
        if self._images is not None:
            return Record(np.array(self._images[index]), captions)
        image = self._folder.read(self._order[index]).image
        return Record(image, captions)


def _by_numbers(name: str) -> list[Any]:
    parts = re.split(r"(\d+)", name)
    # Words and numbers take turns, so like is compared with like.
    return [int(p) if i % 2 else p for i, p in enumerate(parts)]


def _stored_images(path: pathlib.Path) -> np.ndarray:
    try:
        images = _mapped(path)
        if images is None:
            with np.load(path, allow_pickle=False) as arrays:
                images = arrays["arr_0"]
    # A damaged archive raises what zipfile, zlib or NumPy raise.
    except Exception as error:
        raise ValueError(
            f"{path.name} must be an npz with `arr_0`, uint8 (N, H, W, 3). "
            f"Received: {type(error).__name__}: {str(error)[:100]}"
        ) from error
    if images.dtype != np.uint8 or images.ndim != 4 or not len(images):
        raise ValueError(
            f"{path.name} must hold `arr_0`, uint8 of shape (N, H, W, 3). "
            f"Received: dtype={images.dtype}, shape={images.shape}"
        )
    return images


def _mapped(path: pathlib.Path) -> np.ndarray | None:
    """The array of an uncompressed npz on disk; `None` of a compressed one."""
    with zipfile.ZipFile(path) as archive:
        member = archive.getinfo(_MEMBER)
        if member.compress_type != zipfile.ZIP_STORED:
            return None
        with archive.open(member) as file:
            version = np.lib.format.read_magic(file)
            if version != (1, 0):
                return None
            header = np.lib.format.read_array_header_1_0(file)
            shape, fortran, dtype = header
            skipped = file.tell()
    if dtype.hasobject:
        raise ValueError("its array holds Python objects")
    with open(path, "rb") as file:
        file.seek(member.header_offset + _NAME_AT)
        lengths = np.frombuffer(file.read(4), "<u2")
    first = member.header_offset + _HEADER + int(lengths.sum()) + skipped
    return np.memmap(
        path,
        dtype=dtype,
        mode="r",
        offset=first,
        shape=shape,
        order="F" if fortran else "C",
    )


def export_adm_npz(path: str | os.PathLike[str], images: Any) -> None:
    """Writes samples as the evaluator of ADM (guided-diffusion) reads them.

    Args:
        path: str or `pathlib.Path`, the `.npz` file.
        images: uint8 array (N, H, W, 3), under `arr_0`.

    Raises:
        ValueError: on anything else.
    """
    images = np.asarray(images)
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] != 3:
        raise ValueError(
            "`images` must be uint8 of shape (N, H, W, 3). Received: "
            f"dtype={images.dtype}, shape={images.shape}"
        )
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, images)


class ClassSamples:
    """Images that a model draws of its classes, as many of each.

    Sample i is of class `i // (count / classes)`, as the RQ-Transformer's
    program draws them.

    Args:
        model: `keras_bidalle.tasks.ClassImages`, or what has its `classes`
            and `text_to_image`.
        count: int, a multiple of the number of classes.
        seed: int; sample i has the seed `seed * 1000 + i`.
        sampling: dict of sampling settings.
        batch_size: int.
        best_of: int or `None`: so many candidates are drawn for each that
            is kept, and of a class's candidates in one call of `read` those
            are kept whose class `probabilities` is surest of. In calls of
            whole classes, this is the rejection sampling of arXiv
            2203.01941, section 4.2, where 1 of 20 was kept.
        probabilities: function of uint8 images (n, H, W, C) to (n, classes),
            columns in the order of `model.classes`.

    Raises:
        ValueError: when `count` is no such multiple, or nothing can choose.
    """

    def __init__(
        self,
        model: Any,
        count: int,
        seed: int = 0,
        sampling: dict[str, Any] | None = None,
        batch_size: int = 32,
        best_of: int | None = None,
        probabilities: Callable[[np.ndarray], np.ndarray] | None = None,
    ) -> None:
        classes = len(model.classes)
        check_positive(samples=count)
        if count % classes:
            raise refused(
                f"be a multiple of the {classes} classes", samples=count
            )
        if best_of is not None and probabilities is None:
            raise ValueError(
                "`best_of` images of a class need a classifier of as many "
                f"classes, {classes}: give --extractors classifier:FILE"
            )
        self.model = model
        self.count = count
        self._each = count // classes
        self._seed = seed
        self._settings = {"batch_size": batch_size, **(sampling or {})}
        self._best_of = best_of or 1
        self._probabilities = probabilities

    def __len__(self) -> int:
        return self.count

    def read(self, indices: Any) -> Rows:
        """Draws samples: `Rows`, each with the name of its class."""
        indices = np.asarray(indices, "int64")
        numbers = indices // self._each
        names = [self.model.classes[i] for i in numbers]
        images = self.model.text_to_image(
            names,
            seed=(1000 * self._seed + indices).tolist(),
            num_samples=self._best_of,
            **self._settings,
        )
        if self._best_of > 1:
            images = self._chosen(numbers, images)
        return Rows(indices, images, [[name] for name in names])

    def _chosen(self, numbers: np.ndarray, images: np.ndarray) -> np.ndarray:
        assert self._probabilities is not None
        kept = np.zeros((len(images), *images.shape[2:]), "uint8")
        for number in np.unique(numbers):
            rows = numbers == number
            candidates = images[rows].reshape(-1, *images.shape[2:])
            sure = self._probabilities(candidates)[:, number]
            kept[rows] = candidates[
                np.argsort(-sure, kind="stable")[: rows.sum()]
            ]
        return kept


def class_probabilities(
    extractors: list[Extractor], classes: int, batch_size: int
) -> Callable[[np.ndarray], Any] | None:
    """The first extractor's that tells as many classes apart, or `None`."""
    for extractor in extractors:
        if extractor.classes == classes:
            return lambda images: (
                extractor(images, batch_size=batch_size).probabilities
            )
    return None
