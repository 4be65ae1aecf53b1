"""The folder of one run: its settings, its figures, what it leaves."""

import contextlib
import fnmatch
import json
import pathlib
from collections.abc import Sequence
from typing import Any

from keras_bidalle.backend import replicas
from keras_bidalle.files import as_path, atomic_path
from keras_bidalle.messages import one_line, shown
from keras_bidalle.training.folder_lock import shared_lock

# What only a run can have left.
_TRACES = ("checkpoints", "events", "tokenizer", "model", "metrics.json")

_OBJECTS = ("config.json", "metrics.json")


class RunFolder:
    """`config.json`, `metrics.json` and the paths of a run.

    A run is either new, in a folder without a run, or goes on with the
    settings that it began with, but for those that may change. While this
    object lives, no other process can have one of the folder. Of several
    processes that train together the first one writes.

    Args:
        path: str or `pathlib.Path`.
        config: dict of JSON values, the run's settings. What is `None` or
            empty may be missing in the run that is there.
        resume: bool, whether to go on with a run that is there.
        may_change: settings in which a resumed run may differ: patterns of
            their names, such as `"*.training.steps"`. What has changed is
            told, and written.

    Raises:
        FileExistsError: if there is a run and `resume` is `False`.
        ValueError: if the run there has other settings, or its settings are
            lost or damaged, or no folder can have that name.
        BlockingIOError: if another process is at work in the folder.
    """

    def __init__(
        self,
        path: str | pathlib.Path,
        config: dict[str, Any],
        resume: bool = False,
        may_change: Sequence[str] = (),
    ) -> None:
        self.path = as_path("path", path)
        self._lock = shared_lock(self.path)
        config = json.loads(json.dumps(config))
        there = self.read("config.json")
        first = replicas.is_first_process()
        # Other processes may meet what the first one has begun just now.
        if there is not None and not resume and first:
            raise FileExistsError(
                one_line(
                    f"{self.path} holds a run already: pass --resume to go "
                    "on with it, or choose another --name."
                )
            )
        self.before = there
        self._written: set[str] = set()
        if there is None:
            traces = [name for name in _TRACES if (self.path / name).exists()]
            if traces and first:
                raise ValueError(
                    one_line(
                        f"{self.path} has {', '.join(traces)} of a run, but "
                        "its config.json is missing: put it back, or choose "
                        "another --name."
                    )
                )
        elif _flat(there) != _flat(config):
            _compare(self.path, _flat(there), _flat(config), may_change)
        if there != config:
            self.write("config.json", config)

    def __truediv__(self, name):
        return self.path / name

    def read(self, name: str) -> Any:
        """The JSON value in a file of the folder, `None` without the file.

        Raises:
            ValueError: if the file is damaged.
        """
        file = self.path / name
        if not file.is_file():
            return None
        try:
            value = json.loads(file.read_text())
        except (ValueError, RecursionError) as error:
            reason = str(error)
        else:
            if name not in _OBJECTS or isinstance(value, dict):
                return value
            reason = f"{shown(value)}, which is no object"
        raise ValueError(
            one_line(
                f"{file} is damaged: it must be JSON, as the run wrote it. "
                f"Received: {one_line(reason, 80)}"
            )
        )

    def write(self, name: str, value: Any) -> None:
        """Writes a JSON value, all of it or nothing."""
        self._written.add(name)
        with atomic_path(self.path / name) as temporary:
            temporary.write_text(json.dumps(value, indent=2) + "\n")

    def withdraw(self) -> None:
        """Takes back what a new run wrote, as if it had never begun.

        For what is found wrong before anything is trained. A run that was
        there stays.
        """
        if self.before is not None or not replicas.is_first_process():
            return
        for name in self._written:
            (self.path / name).unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # It may hold other files.
            self.path.rmdir()

    def update_metrics(self, **metrics: Any) -> None:
        """Adds figures to `metrics.json`."""
        self.write(
            "metrics.json", {**(self.read("metrics.json") or {}), **metrics}
        )


def _flat(value, name=""):
    """Settings by their dotted names; what is `None` or empty is none."""
    if isinstance(value, dict):
        return {
            key: leaf
            for part, inner in value.items()
            for key, leaf in _flat(
                inner, f"{name}.{part}" if name else part
            ).items()
        }
    return {} if value is None or value == [] else {name: value}


def _compare(path, there, now, may_change):
    """Tells what has changed; raises a `ValueError` where it may not."""
    names = [n for n in {**there, **now} if there.get(n) != now.get(n)]
    fixed = [
        name
        for name in names
        if not any(fnmatch.fnmatch(name, pattern) for pattern in may_change)
    ]
    first = [
        f"{name[-60:]}={shown(there.get(name))} (now {shown(now.get(name))})"
        for name in (fixed or names)[:2]
    ]
    more = len(fixed or names) - len(first)
    told = ", ".join(first) + (f" and {more} more" if more else "")
    if fixed:
        raise ValueError(
            one_line(
                f"The run in {path} was begun with other settings: {told}. "
                "They cannot change; choose another --name."
            )
        )
    print(one_line(f"The run in {path} goes on with other settings: {told}."))
