"""One line of progress for a whole run, on a terminal and in a log."""

import shutil
import sys
import time
from typing import Any

from keras_bidalle.training.steps import StepCallback


class RunProgress(StepCallback):
    """Shows steps, figures, speed and time left for the whole `fit`.

    On a terminal one line is drawn over, with as many figures as fit into
    it, the loss first; elsewhere a line with all of them is printed every
    `log_seconds`. Use it with `verbose=0`.

    Args:
        label: str, what is being trained.
        batch_size: int or `None`; with it the speed is in samples.
        unit: str, what a sample is called.
        log_seconds: float, time between lines where there is no terminal.
        stream: text stream; `None` for standard output.

    Example:

    ```python
    model.fit(stream, epochs=50, steps_per_epoch=200, verbose=0,
              callbacks=[RunProgress("tokenizer", batch_size=64)])
    # tokenizer 1200/10000 [##------------] 12% loss 0.034 | 0:21 done,
    # 2:34 left, 870 pictures/s
    ```
    """

    def __init__(
        self,
        label: str = "training",
        batch_size: int | None = None,
        unit: str = "pictures",
        log_seconds: float = 10.0,
        stream: Any = None,
    ) -> None:
        super().__init__()
        self.label = label
        self.batch_size = batch_size
        self.unit = unit
        self.log_seconds = log_seconds
        self.stream = stream
        self._first_step: int | None = None

    def on_train_begin(self, logs: dict | None = None) -> None:
        self._out = self.stream or sys.stdout
        self._terminal = bool(getattr(self._out, "isatty", lambda: False)())
        self._began = self._shown = time.monotonic()
        self._first_step = None
        self._kept: dict[str, Any] = {}
        self._last_logs: dict[str, Any] = {}
        self._width = 0

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        now = time.monotonic()
        step = self.steps_done(batch)
        if self._first_step is None:
            # The first step compiles: speed is measured from its end.
            self._first_step, self._first_time = step, now
        elif now - self._shown < (0.2 if self._terminal else self.log_seconds):
            return
        self._show(step, {**self._kept, **(logs or {})}, now)

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        # Validation figures stay on the line until the next ones.
        self._kept = {
            name: value
            for name, value in (logs or {}).items()
            if name.startswith("val_")
        }
        self._last_logs = dict(logs or {})

    def on_train_end(self, logs: dict | None = None) -> None:
        if self._first_step is None:
            return
        step = self.steps_done(self.epoch_steps - 1)
        self._show(step, self._last_logs, time.monotonic())
        if self._terminal:
            self._out.write("\n")
            self._out.flush()

    def _show(self, step, logs, now):
        if self._terminal:
            line = self._fitting_line(step, logs, now)
            padding = " " * (self._width - len(line))
            self._out.write(f"\r{line}{padding}")
            self._width = len(line)
        else:
            self._out.write(self.line(step, logs, now) + "\n")
        self._out.flush()
        self._shown = now

    def _fitting_line(self, step, logs, now):
        # What is wider than the terminal would not be drawn over.
        room = shutil.get_terminal_size().columns - 1
        names = sorted(logs, key=lambda name: name != "loss")
        while True:
            line = self.line(step, {n: logs[n] for n in names}, now)
            if len(line) <= room or not names:
                return line[:room]
            names.pop()

    def line(self, step: int, logs: dict, now: float) -> str:
        """The line of progress once `step` is done, at a `time.monotonic`."""
        total = self.total_steps
        parts = [f"{self.label} {step}/{total}"]
        if self._terminal:
            filled = 15 * step // total
            parts.append("[" + "#" * filled + "-" * (15 - filled) + "]")
        parts.append(f"{100 * step // total}%")
        parts += [f"{name} {float(v):.4g}" for name, v in logs.items()]
        parts.append(f"| {_clock(now - self._began)} done")
        first = step if self._first_step is None else self._first_step
        steps, seconds = step - first, now - self._first_time
        if steps > 0 and seconds > 0:
            speed = steps / seconds
            if step < total:
                parts[-1] += f", {_clock((total - step) / speed)} left"
            if self.batch_size:
                parts[-1] += f", {speed * self.batch_size:.4g} {self.unit}/s"
            else:
                parts[-1] += f", {speed:.3g} steps/s"
        return " ".join(parts)


def _clock(seconds):
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}:{minutes:02d}:{seconds:02d}"
    return f"{minutes}:{seconds:02d}"
