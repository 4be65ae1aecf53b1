"""The emoji and what is known of each: vendor, name, concept and cell."""

import csv
import dataclasses
import os
import pathlib
from collections.abc import Sequence

import numpy as np

from keras_bidalle.data import CenterCrop, ImageError, open_image
from keras_bidalle.messages import shown

SPLITS = ("train", "held_vendor", "held_combination")
SIZE = 64
_COLUMNS = ("file", "split", "vendor", "name", "concept", "cell", "keywords")


@dataclasses.dataclass(frozen=True)
class Emoji:
    """One picture of the table `emoji.csv`.

    Attributes:
        file: str, its path below the folder of its split.
        split: str, one of `SPLITS`.
        vendor: str, who drew it, such as "noto".
        name: str, its CLDR short name.
        concept: str, what emoji share that differ in their cell alone.
        cell: str: tone and gender ("woman 3"), a color, or an hour
            ("two 30").
        keywords: str, CLDR's keywords, with commas.
    """

    file: str
    split: str
    vendor: str
    name: str
    concept: str
    cell: str
    keywords: str


class EmojiPictures:
    """The pictures of one split.

    Args:
        rows: sequence of `Emoji`.
        images: uint8 array (N, 64, 64, 3), in the same order.
    """

    def __init__(self, rows: Sequence[Emoji], images: np.ndarray) -> None:
        self.rows = list(rows)
        self.images = images

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def names(self) -> list[str]:
        """The name of each picture: list of N str."""
        return [row.name for row in self.rows]


def read_table(folder: str | os.PathLike[str]) -> list[Emoji]:
    """Reads `emoji.csv`.

    Args:
        folder: str or `pathlib.Path`, what `make_emoji_dataset.py` writes.

    Returns:
        list of `Emoji`, in the order of the file.

    Raises:
        FileNotFoundError: when there is no such file.
        ValueError: when a column is missing, or a split is unknown.
    """
    path = pathlib.Path(folder) / "emoji.csv"
    if not path.is_file():
        raise FileNotFoundError(
            f"`data_dir` must be a folder with emoji.csv. Received: {folder!s}"
        )
    with open(path, newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        missing = {*_COLUMNS} - {*(reader.fieldnames or ())}
        if missing:
            raise ValueError(
                f"{path} must have the columns {', '.join(_COLUMNS)}. "
                f"Missing: {', '.join(sorted(missing))}"
            )
        rows = [Emoji(**{n: row[n] or "" for n in _COLUMNS}) for row in reader]
    for row in rows:
        if row.split not in SPLITS:
            raise ValueError(
                f"{path}: `split` must be one of {SPLITS}. "
                f"Received: split={shown(row.split)} of {row.file}"
            )
    return rows


def load_emoji(
    folder: str | os.PathLike[str],
) -> dict[str, EmojiPictures]:
    """Reads the data set into memory.

    Args:
        folder: str or `pathlib.Path`, what `make_emoji_dataset.py` writes:
            `emoji.csv` and a folder of pictures for each split.

    Returns:
        dict from each of `SPLITS` to `EmojiPictures`.

    Raises:
        FileNotFoundError: when the table is missing.
        ValueError: when the table is damaged, or a split is empty.
        keras_bidalle.data.ImageError: when a picture cannot be read.
    """
    folder = pathlib.Path(folder)
    rows = read_table(folder)
    crop = CenterCrop(SIZE)
    splits = {}
    for split in SPLITS:
        own = [row for row in rows if row.split == split]
        if not own:
            raise ValueError(
                f"{folder}: emoji.csv has no row of {shown(split)}."
            )
        images = []
        for row in own:
            path = folder / split / row.file
            try:
                images.append(crop(open_image(path)))
            except OSError as error:
                raise ImageError(f"{path}: {error}") from error
        splits[split] = EmojiPictures(own, np.stack(images))
    return splits
