"""What was measured so far, kept so that a killed evaluation goes on."""

import functools
import pathlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from keras_bidalle.files import atomic_path

Arrays = dict[str, Any]


class Parts:
    """The measured parts of one direction, a file each.

    Args:
        folder: `pathlib.Path`, where they lie.
        bounds: list of pairs of int, the first and last example (exclusive)
            of each part.
    """

    def __init__(
        self, folder: pathlib.Path, bounds: list[tuple[int, int]]
    ) -> None:
        self.folder = folder
        self.bounds = bounds

    def _path(self, number: int) -> pathlib.Path:
        return self.folder / f"{number:05d}.npz"

    def _read(self, number: int, only: str | None = None) -> Arrays | None:
        """`None` for one that is not there or damaged, which is made anew."""
        try:
            with np.load(self._path(number), allow_pickle=False) as arrays:
                return {
                    name: arrays[name]
                    for name in arrays.files
                    if only in (None, name)
                }
        # A damaged archive raises what zipfile, zlib or NumPy raise.
        except Exception:
            return None

    def complete(
        self,
        measure: Callable[[range], Arrays],
        progress: Callable[[int], Any],
    ) -> None:
        """Measures the parts that are not there yet.

        Args:
            measure: function of the indices of examples to arrays of as many
                rows.
            progress: function of the number of examples done.
        """
        for number, (first, last) in enumerate(self.bounds):
            if self._read(number) is None:
                arrays = measure(range(first, last))
                path = self._path(number)
                with (
                    atomic_path(path) as temporary,
                    open(temporary, "wb") as file,
                ):
                    np.savez(file, **arrays)
            progress(last)

    def each(self, name: str) -> Iterator[np.ndarray]:
        """Yields one array of each part that has it."""
        for number in range(len(self.bounds)):
            arrays = self._read(number, name)
            if arrays is None:
                raise ValueError(
                    f"{self._path(number).name} of the evaluation is gone: "
                    "run it again with --resume."
                )
            # A part of which nothing could be read has none.
            if name in arrays:
                yield arrays[name]

    def column(self, name: str, limit: int | None = None) -> np.ndarray:
        """One array of all parts, or of the first `limit` rows."""
        found, rows = [], 0
        for array in self.each(name):
            found.append(array)
            rows += len(array)
            if limit is not None and rows >= limit:
                break
        return np.concatenate(found)[:limit]

    @functools.cached_property
    def names(self) -> list[str]:
        """The names of the arrays, in alphabetical order."""
        found: set[str] = set()
        for number in range(len(self.bounds)):
            with np.load(self._path(number), allow_pickle=False) as arrays:
                found |= set(arrays.files)
        return sorted(found)
