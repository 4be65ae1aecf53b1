"""Pictures in a folder, with captions beside them or in one file."""

import pathlib

from keras_bidalle.data.caption_files import read_caption_lines, read_captions
from keras_bidalle.data.picture_source import PictureSource, Record
from keras_bidalle.data.pictures import PictureError, picture_files


class ImageTextFolder(PictureSource):
    """The pictures below a folder that have captions.

    Without `captions`, `cat.png` has its captions in `cat.txt` beside it,
    one a line; pictures without one are left out, and `left_out` counts
    them. With `captions`, that file says which pictures there are (see
    `read_captions`), by their path from the folder.

    Args:
        folder: str or `pathlib.Path`.
        captions: str or `pathlib.Path` of a JSON or CSV file, optional; one
            that is not found as it is is looked for in the folder.

    Attributes:
        left_out: int, pictures of the folder that have no captions.

    Raises:
        FileNotFoundError: when there is no such folder or file, or no
            picture with captions.
        ValueError: when the file of captions is damaged.

    Example:

    ```python
    source = ImageTextFolder("birds", captions="captions.json")
    source.read(0).captions  # ["a red bird on a branch", ...]
    ```
    """

    def __init__(self, folder, captions=None):
        self.folder = pathlib.Path(folder)
        if captions is None:
            files = picture_files(self.folder)
            self._texts = None
            self._files = [
                path for path in files if path.with_suffix(".txt").is_file()
            ]
            self.left_out = len(files) - len(self._files)
            asked = "a .txt file beside it"
        else:
            if not self.folder.is_dir():
                raise FileNotFoundError(
                    f"There is no folder {str(self.folder)!r}."
                )
            path = pathlib.Path(captions)
            if not path.is_file():
                path = self.folder / path
            texts = read_captions(path)
            # A listed file that is missing is told when it is read.
            names = [name for name, lines in texts.items() if lines]
            self._files = [self.folder / name for name in names]
            self._texts = [texts[name] for name in names]
            self.left_out = len(texts) - len(names)
            asked = f"a caption in {path}"
        if not self._files:
            raise FileNotFoundError(
                f"The folder {str(self.folder)!r} holds no picture with "
                f"{asked}."
            )
        self.description = (
            f"{len(self._files)} pictures with captions in "
            f"{self.folder.resolve()}"
        )

    def __len__(self):
        return len(self._files)

    def name(self, index):
        return str(self._files[index])

    def read(self, index):
        path = self._files[index]
        if self._texts is not None:
            return Record(path, self._texts[index])
        text = path.with_suffix(".txt")
        try:
            captions = read_caption_lines(text.read_bytes())
        except UnicodeDecodeError as error:
            raise PictureError(f"{path}: {text.name} is not UTF-8") from error
        if not captions:
            raise PictureError(f"{path}: {text.name} has no caption")
        return Record(path, captions)
