"""Any folder of captioned images, whichever way its captions are kept."""

import os
import pathlib

from keras_bidalle.data.caption_files import CAPTION_FILES
from keras_bidalle.data.image_opening import (
    IMAGE_SUFFIXES,
    files_below,
    path_name,
)
from keras_bidalle.data.image_source import ImageSource
from keras_bidalle.data.image_text_folder import ImageTextFolder
from keras_bidalle.data.tar_images import TarImages
from keras_bidalle.messages import one_line


def captioned_folder(
    folder: str | os.PathLike[str],
    captions: str | os.PathLike[str] | None = None,
    caption_name: str | None = None,
) -> ImageSource:
    """Opens a folder by what lies in it.

    That is a `.txt` of captions beside each image, one CSV, TSV or JSON file
    of captions, or WebDataset tar files.

    Args:
        folder: str or `pathlib.Path`.
        captions: file or folder of captions, where there are several.
        caption_name: as of `ImageTextFolder`.

    Returns:
        `ImageTextFolder` or `TarImages`.

    Raises:
        FileNotFoundError: when there is no such folder, or nothing of the
            above in it.
        ValueError: when there are several files of captions, or as the
            readers do.
    """
    folder = pathlib.Path(folder)
    if captions is not None:
        return ImageTextFolder(folder, captions, caption_name)
    texts = {path.with_suffix("") for path in files_below(folder, (".txt",))}
    images = files_below(folder, IMAGE_SUFFIXES)
    if any(path.with_suffix("") in texts for path in images):
        return ImageTextFolder(folder)
    tables = [
        path
        for path in files_below(folder, CAPTION_FILES)
        if path.parent == folder
    ]
    if len(tables) == 1:
        return ImageTextFolder(folder, tables[0], caption_name)
    if tables:
        names = ", ".join(path.name for path in tables)
        raise ValueError(
            one_line(
                f"{path_name(folder)} has several files of captions: "
                f"`captions` must name one of them. Received: {names}"
            )
        )
    tars = [path for path in folder.iterdir() if path.suffix == ".tar"]
    if tars:
        return TarImages(sorted(tars), captions=True)
    raise FileNotFoundError(
        one_line(
            f"{path_name(folder)} must have captions: a .txt beside each "
            f"image, a {', '.join(CAPTION_FILES)} file, or .tar files."
        )
    )
