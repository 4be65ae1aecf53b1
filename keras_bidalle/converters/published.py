"""What a path of a published model holds: checkpoints and configurations."""

import contextlib
import dataclasses
import gzip
import os
import pathlib
import tarfile
import tempfile
from typing import Any

from keras_bidalle.converters.configs import read_config
from keras_bidalle.converters.containers import read_content, readable
from keras_bidalle.converters.state_dict import (
    CheckpointError,
    settings_in,
    weights_in,
)
from keras_bidalle.messages import one_line, shown

_INDEX = ".index.json"
_CHECKPOINTS = (".ckpt", ".pt", ".pth", ".bin", ".safetensors")
_CONFIGS = (".yaml", ".yml", ".json")
# Files beside a model that no configuration is.
_NO_CONFIGS = ("vocab", "tokenizer", "merges", _INDEX)
# Under which names training programs keep their settings.
_SETTINGS = ("hparams", "hyper_parameters", "config", "args", "opt", "cfg")
# What an archive may unpack to.
_UNPACKED_SHARE, _UNPACKED_BYTES = 20, 1 << 26


@dataclasses.dataclass
class Published:
    """One published checkpoint, of which no number is read yet.

    Attributes:
        path: `pathlib.Path` of the checkpoint.
        state: dict from keys to tensors.
        options: dict, the configuration: its file's, or where there is none
            that in the checkpoint.
        told: dict, the settings in the checkpoint.
    """

    path: pathlib.Path
    state: dict[str, Any]
    options: dict[str, Any]
    told: dict[str, Any]

    @classmethod
    def read(cls, path, config=None, ema=False):
        """Reads a checkpoint file and the configuration that belongs to it."""
        content = read_content(path)
        state = weights_in(content, path, ema)
        with readable(path):
            told = settings_in(content, *_SETTINGS) or {}
        # Lightning keeps the one argument of a module under its name.
        for name in ("args", "hparams", "config"):
            if isinstance(told.get(name), dict):
                told = {**told, **told[name]}
        config = _config_beside(path) if config is None else config
        options = told if config is None else read_config(config)
        return cls(path, state, options, told)

    def check_configured(self):
        """Raises a `FileNotFoundError` where no configuration is told."""
        if not (self.options or self.told):
            raise FileNotFoundError(
                one_line(
                    f"`{self.path.parent}` must hold one configuration "
                    f"({', '.join(_CONFIGS)}) beside `{self.path.name}`, or "
                    "it must be named; the checkpoint itself has none."
                )
            )

    def has(self, *keys):
        """Whether the checkpoint has one of some keys, wrapped or not."""
        ends = tuple(f".{key}" for key in keys)
        return any(key in keys or key.endswith(ends) for key in self.state)


def _config_beside(path):
    """The configuration of a checkpoint in its folder, or `None`."""
    found = [
        other
        for other in _files(path.parent, _CONFIGS)
        if not any(word in other.name for word in _NO_CONFIGS)
    ]
    for one in found:
        if one.stem in (path.stem, "config") and len(found) > 1:
            return one
    if len(found) > 1:
        raise FileNotFoundError(
            one_line(
                f"`{path.parent}` must hold one configuration, or it must be "
                f"named. Received: {shown([one.name for one in found])}"
            )
        )
    return found[0] if found else None


def _files(folder, suffixes):
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in suffixes and os.path.isfile(path)
    )


def checkpoint_files(path):
    """The checkpoints of a folder, or else of the folders in it.

    Args:
        path: `pathlib.Path` of a file or folder.

    Returns:
        List of `pathlib.Path`, never empty.
    """
    if not os.path.isdir(path):
        return [path]
    folders, found = [path], []
    for folder in folders:
        indices = [p for p in folder.iterdir() if p.name.endswith(_INDEX)]
        found += indices or _files(folder, _CHECKPOINTS)
        if path in (f.parent for f in found):
            break
        if len(folder.parts) - len(path.parts) < 3:
            folders += sorted(p for p in folder.iterdir() if os.path.isdir(p))
    if not found:
        names = shown(sorted(other.name for other in path.iterdir()))
        raise FileNotFoundError(
            one_line(
                f"`{path}` must hold one checkpoint "
                f"({', '.join(_CHECKPOINTS)}), or it must be named. "
                f"Received: {names}"
            )
        )
    return found


class _Limited:
    """A stream that ends in an error where it is longer than it may be."""

    def __init__(self, file, limit):
        self.file, self.left = file, limit

    def read(self, size):
        data = self.file.read(min(size, self.left + 1))
        self.left -= len(data)
        if self.left < 0:
            raise CheckpointError("it unpacks to far more than its own size")
        return data


@contextlib.contextmanager
def unpacked(path):
    """The path itself or, of a tar archive, a temporary folder of its files.

    Only regular files are unpacked, and never outside of the folder.

    Args:
        path: `pathlib.Path`.
    """
    start = b""
    if os.path.isfile(path):
        with open(path, "rb") as file:
            start = file.read(512)
    is_gzip = start.startswith(b"\x1f\x8b")
    if not is_gzip and start[257:262] != b"ustar":
        yield path
        return
    limit = _UNPACKED_SHARE * path.stat().st_size + _UNPACKED_BYTES
    with tempfile.TemporaryDirectory() as folder:
        try:
            with (gzip.open if is_gzip else open)(path, "rb") as file:
                stream = tarfile.open(fileobj=_Limited(file, limit), mode="r|")
                for member in stream:
                    if member.isreg():
                        stream.extract(member, folder, filter="data")
        except (tarfile.TarError, EOFError, OSError, ValueError) as error:
            raise CheckpointError(
                one_line(f"`{path.name}` cannot be unpacked: {error}")
            ) from error
        yield pathlib.Path(folder)
