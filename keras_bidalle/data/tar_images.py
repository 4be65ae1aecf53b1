"""Images in tar files, as WebDataset packs them."""

import glob
import os
import pathlib
import tarfile
from collections.abc import Sequence

import numpy as np

from keras_bidalle.data.caption_files import (
    MAX_TEXT_BYTES,
    read_caption_lines,
)
from keras_bidalle.data.image_opening import IMAGE_SUFFIXES, path_name
from keras_bidalle.data.image_source import ImageSource, Record, files_digest
from keras_bidalle.messages import one_line, shown

_MAX_PATH = 4096


class TarImages(ImageSource):
    """Records of WebDataset tar files: `0001.jpg` with `0001.txt`.

    The files are read through once, from header to header, for where each
    record lies; records are then read by their place, so a run goes on at
    any step. Neighboring members are of one record when their paths are
    alike up to the first dot of the file's name; hidden files are left out.
    Captions are the lines of the `.txt` member.

    Args:
        paths: str or `pathlib.Path` of one tar file, a pattern such as
            `"shards/train-*.tar"`, or a list of such. Files must not be
            compressed: images are already.
        captions: bool, whether captions are read; records without a `.txt`
            are then left out, and counted in `left_out`.

    Attributes:
        left_out: int, records without an image or, with `captions`, without
            a text.

    Raises:
        FileNotFoundError: when there is no such file, or no record in all.
        ValueError: when a file is damaged, compressed or no tar file; the
            message names it.

    Reference:
        https://github.com/webdataset/webdataset (the format).
    """

    # Neighbors lie in one file, close to one another.
    block_size = 64

    def __init__(
        self,
        paths: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
        captions: bool = False,
    ) -> None:
        self.paths = _expanded(paths)
        self._names = []
        rows = []
        self.left_out = 0
        for number, path in enumerate(self.paths):
            for key, image, text in _records(path):
                if image is None or (captions and text is None):
                    self.left_out += 1
                    continue
                self._names.append(key)
                rows.append((number, *image, *(text or (0, 0))))
        if not rows:
            asked = "image with a .txt" if captions else "image"
            names = ", ".join(map(str, self.paths[:3]))
            raise FileNotFoundError(
                one_line(f"There is no {asked} in {names}.")
            )
        # (file, image's offset, size, text's offset, size)
        self._rows = np.asarray(rows, "int64")
        self._captions = captions
        first = path_name(self.paths[0].resolve())
        self.description = (
            f"{len(self)} pictures in {len(self.paths)} tar files, "
            f"{first} and on ({files_digest(self.paths)})"
        )

    def __len__(self):
        return len(self._rows)

    def name(self, index: int) -> str:
        path = self.paths[self._rows[index, 0]]
        return path_name(f"{path}:{self._names[index]}")

    def read(self, index: int) -> Record:
        number, offset, size, text_offset, text_size = self._rows[index]
        with open(self.paths[number], "rb") as file:
            file.seek(offset)
            image = file.read(size)
            if not self._captions:
                return Record(image, [])
            file.seek(text_offset)
            text = file.read(min(text_size, MAX_TEXT_BYTES + 1))
        return Record(image, read_caption_lines(text, self.name(index)))


def _expanded(paths):
    if isinstance(paths, (str, os.PathLike)):
        paths = [paths]
    found = []
    for path in map(str, paths):
        matches = [path] if os.path.isfile(path) else []
        # No file has a longer name, and such a pattern takes long to read.
        if not matches and len(path) <= _MAX_PATH:
            matches = sorted(glob.glob(path))
        if not matches:
            raise FileNotFoundError(
                one_line(f"There is no file {shown(path)}.")
            )
        found += map(pathlib.Path, matches)
    return found


def _records(path):
    """Yields each record's key and the (offset, size) of its parts."""
    key, image, text = None, None, None
    try:
        # "r:" reads no compressed file: one cannot be read at a place.
        with tarfile.open(path, "r:") as archive:
            size = os.fstat(archive.fileobj.fileno()).st_size
            for member in archive:
                _check_place(member, archive.offset, size)
                if not member.isfile():
                    continue
                folder, _, file = member.name.rpartition("/")
                stem, _, suffix = file.partition(".")
                if not stem:
                    continue
                if f"{folder}/{stem}" != key:
                    if key is not None:
                        yield key.lstrip("/"), image, text
                    key, image, text = f"{folder}/{stem}", None, None
                place = member.offset_data, member.size
                if "." + suffix.lower() in IMAGE_SUFFIXES:
                    image = place
                elif suffix.lower() == "txt":
                    text = place
                # The archive keeps a list of all members otherwise.
                archive.members = []
            # To `tarfile` damage between two members looks like the end, and
            # so does a file that was cut there.
            archive.fileobj.seek(archive.offset)
            end = archive.fileobj.read(tarfile.BLOCKSIZE)
            if end != bytes(tarfile.BLOCKSIZE):
                what = "damage" if end.strip(b"\0") else "it is cut"
                raise tarfile.ReadError(
                    f"{what} at byte {archive.offset}, where zeros must be"
                )
    # What damaged headers make of `tarfile`: sizes that nothing can have,
    # headers of headers without end.
    except (
        *(tarfile.TarError, ValueError, OverflowError),
        *(MemoryError, RecursionError),
    ) as error:
        reason = str(error) or type(error).__name__
        raise ValueError(
            one_line(f"{path} is damaged, compressed, or no tar file: {reason}")
        ) from error
    if key is not None:
        yield key.lstrip("/"), image, text


def _check_place(member, end, size):
    """Raises unless a member lies in its file, and the next one behind it."""
    if member.issparse():
        raise tarfile.ReadError(
            f"{shown(member.name)} is sparse, and cannot be read at a place"
        )
    room = size - member.offset_data if member.isfile() else size
    if end <= member.offset or not 0 <= member.size <= room:
        raise tarfile.ReadError(
            f"{shown(member.name)} cannot have {member.size} bytes"
        )
