"""The folder of a run's checkpoints: the newest few, and which can be read."""

import errno
import pathlib
from typing import Any

from keras_bidalle.training.checkpoint_files import (
    DamagedCheckpoint,
    read_checkpoint,
    write_checkpoint,
)
from keras_bidalle.validation import check_positive


class CheckpointFolder:
    """Checkpoints of one run, a file for each step that was saved.

    Args:
        path: str or `pathlib.Path`, for this run's checkpoints only.
        keep: int, how many stay.
    """

    def __init__(self, path: str | pathlib.Path, keep: int):
        check_positive(keep=keep)
        self.path = pathlib.Path(path)
        self.keep = keep

    def file(self, step: int) -> pathlib.Path:
        """Where the checkpoint of a step is, or would be."""
        return self.path / f"step-{step:09d}.npz"

    def read(self, step: int) -> tuple[dict, dict]:
        """The checkpoint of a step, as `read_checkpoint` gives it."""
        return read_checkpoint(self.file(step))

    def read_newest(self) -> tuple[dict, dict] | None:
        """The newest undamaged checkpoint, `None` where there is none.

        Raises:
            DamagedCheckpoint: if there are some and none can be read.
        """
        self._remove_unfinished()
        files = self._files()
        for file in reversed(files):
            try:
                return read_checkpoint(file)
            except (DamagedCheckpoint, OSError) as error:
                print(f"Checkpoint {file} is damaged ({error}); passed over.")
        if files:
            raise DamagedCheckpoint(
                f"No checkpoint in {self.path} can be read: {len(files)} "
                "are damaged. Remove them to begin the run anew."
            )
        return None

    def write(self, state: dict[str, Any], groups: dict[str, list]) -> None:
        """Writes a checkpoint and removes those beyond `keep`.

        Args:
            state: dict of JSON values, `step` among them.
            groups: dict from str to a list of NumPy arrays.

        Raises:
            OSError: if it cannot be written. The ones before it stay.
        """
        try:
            write_checkpoint(self.file(state["step"]), state, groups)
        except OSError as error:
            raise self._explained(error, state["step"], groups) from error
        for file in self._files()[: -self.keep]:
            file.unlink()

    def clear(self) -> None:
        """Removes all checkpoints."""
        for file in self._files():
            file.unlink()
        self._remove_unfinished()

    def _files(self):
        return sorted(self.path.glob("step-*.npz"))

    def _remove_unfinished(self):
        for file in self.path.glob(".step-*.npz*"):
            file.unlink()

    def _explained(self, error, step, groups):
        size = sum(a.nbytes for arrays in groups.values() for a in arrays)
        last = self._files()[-1:]
        advice = ""
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            advice = (
                f" A checkpoint takes {size / 1e6:.1f} MB, and for a moment "
                f"there are `keep` + 1 = {self.keep + 1} of them: make room."
            )
        return OSError(
            error.errno,
            f"{error.strerror or error}: the checkpoint of step {step} could "
            f"not be written. {last[0] if last else 'Nothing'} is saved."
            + advice,
            str(self.path),
        )
