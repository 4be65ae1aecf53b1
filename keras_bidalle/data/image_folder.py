"""Images in a folder, without captions."""

import os
import pathlib

from keras_bidalle.data.image_opening import image_files
from keras_bidalle.data.image_source import ImageSource, Record, files_digest


class ImageFolder(ImageSource):
    """All images below a folder, in the order of their paths.

    Args:
        folder: str or `pathlib.Path`.

    Raises:
        FileNotFoundError: when there is no such folder, or no image in it.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = pathlib.Path(folder)
        self._files = image_files(self.folder)
        self.description = (
            f"{len(self._files)} pictures in {self.folder.resolve()} "
            f"({files_digest(self._files)})"
        )

    def __len__(self):
        return len(self._files)

    def name(self, index: int) -> str:
        return str(self._files[index])

    def read(self, index: int) -> Record:
        return Record(self._files[index], [])
