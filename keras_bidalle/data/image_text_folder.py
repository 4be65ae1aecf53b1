"""Images in a folder, with captions beside them or in one file."""

import os
import pathlib

from keras_bidalle.data.caption_files import (
    MAX_TEXT_BYTES,
    read_caption_lines,
    read_captions,
)
from keras_bidalle.data.image_opening import (
    IMAGE_SUFFIXES,
    files_below,
    image_files,
    path_name,
)
from keras_bidalle.data.image_source import ImageFiles, Record, files_digest
from keras_bidalle.data.named_files import NamedFiles
from keras_bidalle.messages import one_line, shown
from keras_bidalle.validation import refused


class ImageTextFolder(ImageFiles):
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
        caption_name: str, optional: the column or key of captions in that
            file, where it is called otherwise.

    Attributes:
        left_out: int, images without a `.txt`, or listed in the file
            without a caption.
        notes: list of str, what is left out: those, images that the file
            does not list, and a `.txt` beside what is no image.

    Raises:
        FileNotFoundError: when there is no such folder or file, or no
            image with captions.
        ValueError: when the file of captions is damaged, or names an image
            outside `folder`.
        PermissionError: when a folder in it may not be read.

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
        caption_name: str | None = None,
    ) -> None:
        self.folder = pathlib.Path(folder)
        if not os.path.isdir(self.folder):
            raise FileNotFoundError(
                one_line(f"There is no folder {str(self.folder)!r}.")
            )
        self.notes: list[str] = []
        where = self.folder if captions is None else pathlib.Path(captions)
        if not os.path.exists(where):
            where = self.folder / where
        if os.path.isdir(where):
            if caption_name is not None:
                raise refused(
                    "be None where captions are .txt files, which have no "
                    "columns",
                    caption_name=caption_name,
                )
            self._find_text_files(where)
            asked = f"a .txt file in {where}"
        else:
            self._read_file(where, caption_name)
            asked = f"a caption in {where}"
        if not self._files:
            raise FileNotFoundError(
                one_line(
                    f"The folder {str(self.folder)!r} holds no image "
                    f"with {asked}."
                )
            )
        self.description = (
            f"{len(self._files)} pictures with captions in "
            f"{path_name(self.folder.resolve())} "
            f"({files_digest([*self._files, *self._texts])})"
        )

    def _find_text_files(self, where):
        files, texts = image_files(self.folder), NamedFiles(where, (".txt",))
        found = {
            path: texts.find(path.relative_to(self.folder).with_suffix(".txt"))
            for path in files
        }
        self._files = [path for path in files if found[path].is_file()]
        self._texts = [found[path] for path in self._files]
        self._captions = None
        self.left_out = len(files) - len(self._files)
        self._note_left_out(self.left_out)
        lonely = set(files_below(where, (".txt",))) - set(self._texts)
        others = _beside(lonely)
        if others:
            self.notes.append(
                one_line(
                    f"{len(others)} files with a .txt are left out, which are "
                    f"no images by their suffix, such as {min(others)}"
                )
            )

    def _note_left_out(self, count):
        if count:
            self.notes.append(
                f"{count} pictures without a caption are left out"
            )

    def _read_file(self, path, caption_name):
        listed = read_captions(path, caption_name)
        images = NamedFiles(self.folder, IMAGE_SUFFIXES)
        captions = {}
        for name, lines in listed.items():
            if not images.holds(name):
                raise ValueError(
                    one_line(
                        f"{path} must name images in the folder "
                        f"{self.folder}. Received: {shown(name)}"
                    )
                )
            # A listed file that is missing is reported when read.
            captions.setdefault(images.find(name), []).extend(lines)
        self._files = [file for file, lines in captions.items() if lines]
        self._texts = [path]
        self._captions = [captions[file] for file in self._files]
        self.left_out = len(captions) - len(self._files)
        there = map(os.path.abspath, files_below(self.folder, IMAGE_SUFFIXES))
        listed = {os.path.abspath(path) for path in self._files}
        self._note_left_out(len(set(there) - listed))

    def read(self, index: int) -> Record:
        path = self._files[index]
        if self._captions is not None:
            return Record(path, self._captions[index])
        with open(self._texts[index], "rb") as file:
            content = file.read(MAX_TEXT_BYTES + 1)
        return Record(path, read_caption_lines(content, self.name(index)))


def _beside(texts):
    """The names of files that lie beside `.txt` files, with their stems."""
    stems = {(text.parent, text.stem) for text in texts}
    return [
        name
        for folder in {text.parent for text in texts}
        for name in os.listdir(folder)
        if (folder, pathlib.Path(name).stem) in stems
        and pathlib.Path(name).suffix.lower() != ".txt"
    ]
