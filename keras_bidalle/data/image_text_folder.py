"""Images in a folder, with captions beside them or in one file."""

import os
import pathlib

from keras_bidalle.data.caption_files import read_caption_lines, read_captions
from keras_bidalle.data.image_opening import image_files
from keras_bidalle.data.image_source import ImageSource, Record, files_digest


class ImageTextFolder(ImageSource):
    """The images below a folder that have captions.

    Without `captions`, `cat.png` has its captions in `cat.txt` beside it,
    one a line; with a folder as `captions`, at the same place in that one.
    With a file, that file says which images there are (see
    `read_captions`), by their path from the folder.

    Args:
        folder: str or `pathlib.Path`.
        captions: str or `pathlib.Path` of a folder or of a JSON or CSV file,
            optional; one that is not found as it is is looked for in
            `folder`.

    Attributes:
        left_out: int, images without a `.txt`, or listed in the file
            without a caption.

    Raises:
        FileNotFoundError: when there is no such folder or file, or no
            image with captions.
        ValueError: when the file of captions is damaged.

    Example:

    ```python
    source = ImageTextFolder("birds", captions="captions.json")
    source.read(0).captions  # ["a red bird on a branch", ...]
    ```
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        captions: str | os.PathLike[str] | None = None,
    ) -> None:
        self.folder = pathlib.Path(folder)
        if not self.folder.is_dir():
            raise FileNotFoundError(f"There is no folder {str(self.folder)!r}.")
        where = self.folder if captions is None else pathlib.Path(captions)
        if not where.exists():
            where = self.folder / where
        if where.is_dir():
            self._find_text_files(where)
            asked = f"a .txt file in {where}"
        else:
            self._read_file(where)
            asked = f"a caption in {where}"
        if not self._files:
            raise FileNotFoundError(
                f"The folder {str(self.folder)!r} holds no image with {asked}."
            )
        self.description = (
            f"{len(self._files)} pictures with captions in "
            f"{self.folder.resolve()} "
            f"({files_digest([*self._files, *self._texts])})"
        )

    def _find_text_files(self, where):
        files = image_files(self.folder)
        texts = [
            where / path.relative_to(self.folder).with_suffix(".txt")
            for path in files
        ]
        found = [
            pair for pair in zip(files, texts, strict=True) if pair[1].is_file()
        ]
        self._files = [path for path, _ in found]
        self._texts = [text for _, text in found]
        self._captions = None
        self.left_out = len(files) - len(found)

    def _read_file(self, path):
        captions = read_captions(path)
        # A listed file that is missing is reported when read.
        names = [name for name, lines in captions.items() if lines]
        self._files = [self.folder / name for name in names]
        self._texts = [path]
        self._captions = [captions[name] for name in names]
        self.left_out = len(captions) - len(names)

    def __len__(self):
        return len(self._files)

    def name(self, index: int) -> str:
        return str(self._files[index])

    def read(self, index: int) -> Record:
        path = self._files[index]
        if self._captions is not None:
            return Record(path, self._captions[index])
        content = self._texts[index].read_bytes()
        return Record(path, read_caption_lines(content, path))
