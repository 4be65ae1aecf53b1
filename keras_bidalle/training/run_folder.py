"""The folder of one run: its settings, its figures, what it leaves."""

import json
import pathlib
from typing import Any

from keras_bidalle.backend import replicas
from keras_bidalle.files import atomic_path


class RunFolder:
    """`config.json`, `metrics.json` and the paths of a run.

    A run is either new, in a folder without a run, or goes on with the
    settings that it began with. Of several processes that train together
    the first one writes.

    Args:
        path: str or `pathlib.Path`.
        config: dict of JSON values, the run's settings.
        resume: bool, whether to go on with a run that is there.

    Raises:
        FileExistsError: if there is a run and `resume` is `False`.
        ValueError: if the run there has other settings.
    """

    def __init__(
        self,
        path: str | pathlib.Path,
        config: dict[str, Any],
        resume: bool = False,
    ) -> None:
        self.path = pathlib.Path(path)
        config = json.loads(json.dumps(config))
        there = self.read("config.json")
        # Other processes may meet what the first one has begun just now.
        if there is not None and not resume and replicas.is_first_process():
            raise FileExistsError(
                f"{self.path} holds a run already: pass --resume to go on "
                "with it, or choose another --name."
            )
        if there is not None and there != config:
            changed = sorted(
                name
                for name in {*there, *config}
                if there.get(name) != config.get(name)
            )
            raise ValueError(
                f"The run in {self.path} was begun with other settings: "
                + ", ".join(
                    f"{name}={there.get(name)!r} (now {config.get(name)!r})"
                    for name in changed
                )
            )
        if there is None:
            self.write("config.json", config)

    def __truediv__(self, name):
        return self.path / name

    def read(self, name: str) -> Any:
        """The JSON value in a file of the folder, `None` without the file."""
        file = self.path / name
        return json.loads(file.read_text()) if file.is_file() else None

    def write(self, name: str, value: Any) -> None:
        """Writes a JSON value, all of it or nothing."""
        with atomic_path(self.path / name) as temporary:
            temporary.write_text(json.dumps(value, indent=2) + "\n")

    def update_metrics(self, **metrics: Any) -> None:
        """Adds figures to `metrics.json`."""
        self.write(
            "metrics.json", {**(self.read("metrics.json") or {}), **metrics}
        )
