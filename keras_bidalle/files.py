"""Writing so that a kill leaves the old file or the new one, never half.

Of several processes that train together the first one writes. What the
others would write goes to a temporary place and is dropped, so that they may
run the same program.
"""

import contextlib
import errno
import os
import pathlib
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from typing import Any

from keras_bidalle.backend import replicas
from keras_bidalle.messages import shown
from keras_bidalle.validation import refused


def as_path(name: str, value: Any) -> pathlib.Path:
    """A path that an argument gives; whether anything is there is not asked.

    Raises:
        ValueError: if no file or folder can have that name.
    """
    try:
        path = pathlib.Path(value)
        os.lstat(path)
    except (OSError, TypeError, ValueError) as error:
        number = getattr(error, "errno", errno.ENAMETOOLONG)
        if number == errno.ENAMETOOLONG:
            expected = "be the path of a file or folder"
            raise refused(expected, **{name: value}) from error
    return path


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[pathlib.Path]:
    """Yields a temporary path beside `path`, renamed onto it on success.

    The temporary name keeps the suffix of `path`, by which writers choose
    their format, and its folder is made. When the body raises, the temporary
    file is removed and `path` is as it was.
    """
    path = as_path("path", path)
    if not replicas.is_first_process():
        with tempfile.TemporaryDirectory() as dropped:
            yield pathlib.Path(dropped, path.name)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    # Only the last suffix: `model.weights.h5` needs both of its own.
    suffix = "".join(path.suffixes[-2:])
    handle, name = tempfile.mkstemp(
        prefix=f".{path.name}.", suffix=suffix, dir=path.parent
    )
    os.close(handle)
    temporary = pathlib.Path(name)
    try:
        yield temporary
        _as_readable_as_others(temporary, 0o666)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def replaceable(
    path: str | os.PathLike[str],
    contents: Iterable[str],
    overwrite: bool = False,
) -> pathlib.Path:
    """The folder that a call may write: a new one, or one of such a call.

    Args:
        path: str or `pathlib.Path`; of a link, its target is meant.
        contents: names of all that such a call writes into its folder.
        overwrite: bool, whether a folder with other contents may be replaced
            too.

    Returns:
        `pathlib.Path`, absolute.

    Raises:
        FileExistsError: if `path` is a file, or a folder with other contents.
        ValueError: if no folder can have that name.
    """
    path = as_path("path", path).resolve()
    if path.exists() and not path.is_dir():
        raise FileExistsError(
            f"A folder cannot be written to {shown(str(path))}: it is a file."
        )
    known = set(contents)
    foreign = [p for p in path.glob("*") if p.name not in known]
    if foreign and not overwrite:
        raise FileExistsError(
            f"{shown(str(path))} holds other files, such as "
            f"{shown(min(foreign).name)}: give another folder, or replace all "
            "that is in it with overwrite=True."
        )
    return path


@contextlib.contextmanager
def atomic_folder(
    path: str | os.PathLike[str],
    contents: Iterable[str] = (),
    overwrite: bool = False,
) -> Iterator[pathlib.Path]:
    """Yields a temporary folder beside `path`, moved onto it on success.

    A folder that was there is replaced as a whole, where `replaceable`, with
    the same arguments, allows it. A folder cannot be swapped in one system
    call everywhere, so the old one is set aside first: a kill in between
    leaves it as `.<name>.old`.
    """
    path = replaceable(path, contents, overwrite)
    if not replicas.is_first_process():
        with tempfile.TemporaryDirectory() as dropped:
            yield pathlib.Path(dropped)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = pathlib.Path(
        tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent)
    )
    try:
        yield temporary
        _as_readable_as_others(temporary, 0o777)
        old = path.parent / f".{path.name}.old"
        if path.exists():
            shutil.rmtree(old, ignore_errors=True)
            os.replace(path, old)
        os.replace(temporary, path)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _as_readable_as_others(path, mode):
    """Temporary files and folders are made private."""
    umask = os.umask(0)
    os.umask(umask)
    path.chmod(mode & ~umask)
