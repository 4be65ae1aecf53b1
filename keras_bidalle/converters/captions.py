"""The published vocabularies of captions: files of byte pair encodings."""

import json
import os
import pathlib
from typing import Any

import tokenizers

from keras_bidalle.captions import CaptionTokenizer
from keras_bidalle.messages import one_line, shown

# In what folder of a published model its vocabulary is.
_FOLDERS = (".", "tokenizer", "bpe")
_END_OF_WORD = "</w>"


def vocabulary_files(path):
    """The files of a vocabulary in a folder, or `None`.

    Args:
        path: `pathlib.Path` of a folder.

    Returns:
        Tuple of `pathlib.Path`: one `tokenizer.json`, or the vocabulary and
        the merges.
    """
    for name in _FOLDERS:
        folder = path / name
        if os.path.isfile(folder / "tokenizer.json"):
            return (folder / "tokenizer.json",)
        vocabularies = sorted(folder.glob("*vocab*.json"))
        merges = sorted(folder.glob("*merges*.txt"))
        if len(vocabularies) == len(merges) == 1:
            return vocabularies[0], merges[0]
    return None


def read_vocabulary(files: Any, max_length: int) -> CaptionTokenizer:
    """Reads a published vocabulary of captions.

    Args:
        files: str or `pathlib.Path` of a folder with a `tokenizer.json` or
            with a `*vocab*.json` and a `*merges*.txt`; or these files, one
            or a sequence of two.
        max_length: int, the length of a row.

    Returns:
        `keras_bidalle.captions.CaptionTokenizer`. Byte pair encodings that
        mark the ends of words (`</w>`) split captions as minDALL-E's, others
        as Bi-directional DALL-E's.

    Raises:
        ValueError: when a file is no vocabulary.
        FileNotFoundError: when there is none.
    """
    one = isinstance(files, (str, pathlib.Path))
    paths = [pathlib.Path(file) for file in ([files] if one else files)]
    if len(paths) == 1 and os.path.isdir(paths[0]):
        paths = list(vocabulary_files(paths[0]) or paths)
    for path in paths:
        if not os.path.isfile(path):
            raise FileNotFoundError(
                one_line(
                    "`vocabulary` must be a folder with a `tokenizer.json`, "
                    "or with a `*vocab*.json` and a `*merges*.txt`, or these "
                    f"files. Received: {str(path)!r}"
                )
            )
    try:
        return CaptionTokenizer(_json(paths), max_length)
    # The library raises a bare `Exception`.
    except Exception as error:
        names = shown([path.name for path in paths])
        raise ValueError(
            one_line(f"`vocabulary` {names} cannot be read: {error}")
        ) from error


def _json(paths):
    """A tokenizer in its library's own JSON form."""
    if len(paths) == 1:
        return paths[0].read_text(encoding="utf-8")
    vocabulary, merges = sorted(paths, key=lambda path: path.suffix)
    words = json.loads(vocabulary.read_text(encoding="utf-8"))
    files = (str(vocabulary), str(merges))
    if any(word.endswith(_END_OF_WORD) for word in words):
        tokenizer = tokenizers.CharBPETokenizer.from_file(
            *files, unk_token="[UNK]", lowercase=True
        )
        tokenizer.add_special_tokens([w for w in ("[PAD]",) if w in words])
        return tokenizer.to_str()
    model = tokenizers.models.BPE.from_file(*files, unk_token="[UNK]")
    tokenizer = tokenizers.Tokenizer(model)
    tokenizer.normalizer = tokenizers.normalizers.Lowercase()
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    return tokenizer.to_str()
