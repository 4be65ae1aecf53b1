"""One run at a time in a folder.

The folder itself is locked, so no file is left behind, and the lock ends with
the process that holds it, however that ends.
"""

import contextlib
import errno
import fcntl
import os
import pathlib
import weakref
from collections.abc import Iterator

from keras_bidalle.backend import replicas


class FolderLock:
    """Keeps other runs out of a folder, for as long as this object lives.

    Of processes that train together the first one has it.

    Raises:
        BlockingIOError: if somebody else has it.
    """

    def __init__(self, path: pathlib.Path) -> None:
        self.release = lambda: None
        if not replicas.is_first_process():
            return
        path.mkdir(parents=True, exist_ok=True)
        folder = os.open(path, os.O_RDONLY)
        self.release = weakref.finalize(self, os.close, folder)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.release()
            raise BlockingIOError(
                errno.EAGAIN,
                "another run is at work in this folder: wait until it has "
                "ended, or choose another folder",
                str(path),
            ) from None
        except OSError as error:
            # File systems without locks, such as some of networks.
            print(f"{path} cannot be locked ({error}): start one run in it.")


@contextlib.contextmanager
def alone_in(path: pathlib.Path) -> Iterator[None]:
    """A context in which no other run works in a folder."""
    lock = FolderLock(path)
    try:
        yield
    finally:
        lock.release()


_OF_THIS_PROCESS: weakref.WeakValueDictionary = weakref.WeakValueDictionary()


def shared_lock(path: pathlib.Path) -> FolderLock:
    """The lock of a folder that this process has, or a new one."""
    name = str(path.resolve())
    lock = _OF_THIS_PROCESS.get(name)
    if lock is None:
        lock = _OF_THIS_PROCESS[name] = FolderLock(path)
    return lock
