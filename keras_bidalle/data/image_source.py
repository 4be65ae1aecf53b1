"""What a data set of images is: numbered records, read one at a time."""

import collections
import hashlib
import pathlib
from collections.abc import Sequence

from keras_bidalle.data.image_opening import path_name

Record = collections.namedtuple("Record", ["image", "captions"])
Record.__doc__ = """One entry of a data set, not yet decoded.

Attributes:
    image: what `keras_bidalle.data.open_image` takes.
    captions: list of str, empty where there are none.
"""


# Shuffling mixes this many blocks; a source that keeps blocks keeps a few more.
MIXED_BLOCKS = 16


class ImageSource:
    """A data set of images, with captions or without.

    A reader for another form of storage is a subclass with `__len__`,
    `name`, `read` and `description`. Nothing is kept in memory but what
    finds a record again, so that a data set may be of any size.

    Attributes:
        block_size: int, how many neighboring records are cheap to read
            together. Shuffling keeps to blocks of this size; 1 shuffles
            everything.
        description: str that names the data set and changes with it, for
            logs and for what is cached.
        notes: sequence of str, what a user is to know of what is left out.
    """

    block_size = 1
    description = ""
    notes: Sequence[str] = ()

    def __len__(self):
        raise NotImplementedError

    def name(self, index: int) -> str:
        """What errors call record `index`: str."""
        raise NotImplementedError

    def read(self, index: int) -> Record:
        """Reads a record.

        Args:
            index: int in [0, `len(source)`).

        Returns:
            `Record`.

        Raises:
            OSError: when the file cannot be read.
            ImageError: when there is no image in it.
        """
        raise NotImplementedError


class ImageFiles(ImageSource):
    """Base of sources whose images are files, in `_files`."""

    _files: list[pathlib.Path]

    def __len__(self):
        return len(self._files)

    def name(self, index: int) -> str:
        return path_name(self._files[index])


def files_digest(paths):
    """A short digest of files' paths, sizes and dates."""
    digest = hashlib.sha256()
    for path in paths:
        try:
            found = path.stat()
            state = f"{found.st_size} {found.st_mtime_ns}"
        except (OSError, ValueError):  # A name with a null is none.
            state = "missing"
        digest.update(f"{path}\0{state}\0".encode(errors="surrogateescape"))
    return digest.hexdigest()[:12]
