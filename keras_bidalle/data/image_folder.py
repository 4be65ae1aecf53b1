"""Images in a folder, without captions."""

import os
import pathlib

from keras_bidalle.data.image_opening import image_files, path_name
from keras_bidalle.data.image_source import ImageFiles, Record, files_digest


class ImageFolder(ImageFiles):
    """All images below a folder, in the order of their paths.

    Args:
        folder: str or `pathlib.Path`.

    Raises:
        FileNotFoundError, PermissionError: as of `image_files`.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = pathlib.Path(folder)
        self._files = image_files(self.folder)
        where = path_name(self.folder.resolve())
        self.description = (
            f"{len(self._files)} pictures in {where} "
            f"({files_digest(self._files)})"
        )

    def read(self, index: int) -> Record:
        return Record(self._files[index], [])
