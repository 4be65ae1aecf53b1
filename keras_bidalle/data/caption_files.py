"""Captions of many images in one file, JSON or CSV."""

import collections
import csv
import json
import os
import pathlib

from keras_bidalle.data.image_opening import ImageError
from keras_bidalle.messages import one_line, shown

# What the columns and keys are called in the data sets that people have.
FILE_NAMES = ("file_name", "file", "filename", "image", "filepath", "path")
CAPTION_NAMES = ("caption", "captions", "text", "texts")
# Of the captions of one image; what is larger is something else.
MAX_TEXT_BYTES = 1 << 20


def read_captions(
    path: str | os.PathLike[str], caption_name: str | None = None
) -> dict[str, list[str]]:
    """Reads which captions each image has.

    It understands

    - JSON `{"cat.png": "a cat", "dog.png": ["a dog", "a brown dog"]}`;
    - JSON `[{"file": "cat.png", "caption": "a cat"}, ...]`, also one such
      object a line (`.jsonl`);
    - JSON as COCO has it, `{"images": [{"id": .., "file_name": ..}],
      "annotations": [{"image_id": .., "caption": ..}]}`;
    - CSV or TSV with a header, a column for the file and one for the
      caption; an image with several captions has several lines.

    The file's key or column is one of `FILE_NAMES`, the caption's one of
    `CAPTION_NAMES`, in capitals or not. A CSV has commas or semicolons.

    Args:
        path: str or `pathlib.Path`, ending in .json, .jsonl, .csv or .tsv.
        caption_name: str, the column or key of captions where it is called
            otherwise.

    Returns:
        dict from file name, str, to its captions, a list of str that are
        not empty, in the order of the file.

    Raises:
        ValueError: when the file is damaged or of another form; the message
            says where.
        FileNotFoundError: when there is no such file.
    """
    path = pathlib.Path(path)
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise ValueError(
            f"Captions are read from {', '.join(_READERS)} files. "
            f"Received: {shown(str(path))}"
        )
    captions: dict[str, list[str]] = {}
    try:
        if os.path.exists(path) and not os.path.isfile(path):
            # A pipe may never end.
            raise ValueError("it is no file")
        names = CAPTION_NAMES if caption_name is None else (caption_name,)
        for file, texts in reader(path, names):
            captions.setdefault(file, []).extend(_checked(file, texts))
    # A damaged encoding and damaged JSON are ValueErrors too; another
    # structure than COCO's is a TypeError.
    except (KeyError, TypeError, ValueError, csv.Error) as error:
        reason = f"no {error}" if isinstance(error, KeyError) else str(error)
    except RecursionError:
        reason = "it is nested too deeply"
    else:
        return captions
    raise ValueError(one_line(f"{path} is not a file of captions: {reason}"))


def _checked(file, texts):
    """The captions of a record, checked: list of str."""
    texts = [texts] if isinstance(texts, str) else texts
    if not (
        isinstance(file, str)
        and isinstance(texts, list)
        and all(isinstance(text, str) for text in texts)
    ):
        raise ValueError(
            "an image's name and its captions must be text. "
            f"Received: {shown(file)}: {shown(texts)}"
        )
    # Halves of characters, which JSON can hold, are no text.
    "".join([file, *texts]).encode()
    return _captions(texts)


def read_caption_lines(content, name):
    """The captions in the bytes of a .txt file, one a line, or why not.

    Of what is larger than `MAX_TEXT_BYTES` one byte more is enough.
    """
    if len(content) > MAX_TEXT_BYTES:
        raise ImageError(
            f"{name}: its .txt has more than {MAX_TEXT_BYTES:,} bytes"
        )
    try:
        lines = content.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ImageError(f"{name}: its .txt is not UTF-8") from error
    if captions := _captions(lines):
        return captions
    raise ImageError(f"{name}: its .txt has no caption")


def _captions(lines):
    """Each with single spaces, those without a word left out."""
    return [" ".join(line.split()) for line in lines if line.strip()]


def _from_json(path, captions):
    content = _parsed(path.read_text(encoding="utf-8-sig"))
    if isinstance(content, list):
        return [_pair(row, captions) for row in content]
    if not isinstance(content, dict):
        raise ValueError("it is neither a JSON object nor a list")
    if {"images", "annotations"} <= content.keys():
        names = {image["id"]: image["file_name"] for image in content["images"]}
        notes = content["annotations"]
        for note in notes:
            if note["image_id"] not in names:
                raise ValueError(
                    "an annotation is of an image that is not in the file. "
                    f"Received: image_id={shown(note['image_id'])}"
                )
        return [(names[note["image_id"]], note["caption"]) for note in notes]
    return content.items()


def _parsed(text):
    """JSON in which no name comes twice, as one of them would be lost."""

    def unique(pairs):
        found = dict(pairs)
        if len(found) < len(pairs):
            names = collections.Counter(name for name, _ in pairs)
            twice = shown(names.most_common(1)[0][0])
            raise ValueError(f"the name {twice} comes twice in one object")
        return found

    return json.loads(text, object_pairs_hook=unique)


def _from_json_lines(path, captions):
    # Not `splitlines`: JSON may hold other separators of lines as they are.
    lines = path.read_text(encoding="utf-8-sig").split("\n")
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            yield _pair(_parsed(line), captions)
        except json.JSONDecodeError as error:
            told = f"line {number}, column {error.colno}: {error.msg}"
            raise ValueError(told) from error
        except ValueError as error:
            raise ValueError(f"line {number}: {error}") from error


def _from_csv(path, captions):
    with open(path, encoding="utf-8-sig", newline="") as file:
        delimiter = "\t"
        if path.suffix.lower() != ".tsv":
            delimiter = _delimiter(file, captions)
        rows = csv.DictReader(file, delimiter=delimiter, strict=True)
        try:
            names = (*FILE_NAMES, *map(_plain, captions))
            _check_header(rows.fieldnames or [], names)
            for row in rows:
                if None in row:
                    raise ValueError(
                        "more fields than the header has; what holds a "
                        f"{delimiter!r} must stand in quotes"
                    )
                yield _pair(row, captions)
        except (ValueError, csv.Error) as error:
            raise ValueError(f"line {rows.reader.line_num}: {error}") from error


def _delimiter(file, captions):
    """A comma; or a semicolon, where that makes columns of the header."""
    try:
        header = next(csv.reader(file, delimiter=";"), [])
    finally:
        file.seek(0)
    known = {_plain(name) for name in header}
    named = known & set(FILE_NAMES) and known & {*map(_plain, captions)}
    return ";" if named else ","


def _plain(name):
    """A name of a column or key, however people write it."""
    return str(name).strip().lower()


def _check_header(header, names):
    """Raises where one of two columns of a name would be lost."""
    header = [_plain(name) for name in header]
    twice = [name for name in names if header.count(name) > 1]
    if twice:
        raise ValueError(f"the column {shown(twice[0])} comes twice")


_READERS = {
    ".json": _from_json,
    ".jsonl": _from_json_lines,
    ".csv": _from_csv,
    ".tsv": _from_csv,
}
CAPTION_FILES = tuple(_READERS)


def _pair(row, captions):
    if not isinstance(row, dict):
        raise ValueError(f"a record must be an object. Received: {shown(row)}")
    return _first_of(row, FILE_NAMES), _first_of(row, captions)


def _first_of(row, names):
    plain = {_plain(name): value for name, value in row.items()}
    for name in names:
        for found in (row.get(name), plain.get(_plain(name))):
            if found is not None:
                return found
    raise ValueError(
        f"a record must have one of {', '.join(names)}. "
        f"Received: {shown(sorted(map(str, row)))}"
    )
