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
from keras_bidalle.validation import refused


def captioned_folder(
    folder: str | os.PathLike[str],
    captions: str | os.PathLike[str] | None = None,
    caption_name: str | None = None,
) -> ImageSource:
    """Opens a folder by what lies in it.

    That is a `.txt` of captions beside each image, one CSV, TSV or JSON file
    of captions, or WebDataset tar files. Where there are both of the first,
    those are taken that more images have; `notes` of the source say so.

    Args:
        folder: str or `pathlib.Path`.
        captions: file or folder of captions, where there are several.
        caption_name: as of `ImageTextFolder`; of a file of captions only.

    Returns:
        `ImageTextFolder` or `TarImages`.

    Raises:
        FileNotFoundError: when there is no such folder, or nothing of the
            above in it.
        ValueError: when there are several files of captions, or none that
            has the column `caption_name`, or as the readers do.
    """
    folder = pathlib.Path(folder)
    if captions is not None:
        return ImageTextFolder(folder, captions, caption_name)
    texts = {path.with_suffix("") for path in files_below(folder, (".txt",))}
    images = files_below(folder, IMAGE_SUFFIXES)
    beside = sum(path.with_suffix("") in texts for path in images)
    tables = [
        path
        for path in files_below(folder, CAPTION_FILES)
        if path.parent == folder
    ]
    # A table may be of something else, where all images have a `.txt`.
    if beside and not caption_name and (beside == len(images) or not tables):
        return ImageTextFolder(folder)
    if len(tables) == 1:
        return _of_more(folder, tables[0], caption_name, beside, len(images))
    if tables:
        names = ", ".join(path.name for path in tables)
        raise ValueError(
            one_line(
                f"{path_name(folder)} has several files of captions: "
                f"`captions` must name one of them. Received: {names}"
            )
        )
    if caption_name:
        raise refused(
            "be None without a file of captions, as it is a column of one",
            caption_name=caption_name,
        )
    tars = [path for path in folder.iterdir() if path.suffix == ".tar"]
    if tars:
        return TarImages(sorted(tars), captions=True)
    kinds = ", ".join(IMAGE_SUFFIXES)
    told = f" None of its .txt is of an image ({kinds})." if texts else ""
    raise FileNotFoundError(
        one_line(
            f"{path_name(folder)} must have captions: a .txt beside each "
            f"image, a {', '.join(CAPTION_FILES)} file, or .tar files.{told}"
        )
    )


def _of_more(
    folder: pathlib.Path,
    table: pathlib.Path,
    caption_name: str | None,
    beside: int,
    images: int,
) -> ImageTextFolder:
    """By a table or, where more images have one, by the `.txt` beside them."""
    try:
        listed = ImageTextFolder(folder, table, caption_name)
    except (OSError, ValueError):
        # It may be of something else; not where a `.txt` is the exception.
        if caption_name or 2 * beside <= images:
            raise
        return ImageTextFolder(folder)
    records = (listed.read(index) for index in range(len(listed)))
    count = sum(os.path.isfile(record.image) for record in records)
    told = f"{beside} pictures have a .txt, {count} a caption in {table.name}"
    if beside > count and not caption_name:
        listed = ImageTextFolder(folder)
        table = pathlib.Path("the .txt")
    if beside:
        listed.notes.append(
            one_line(f"{told}: captions are those of {table.name}")
        )
    return listed
