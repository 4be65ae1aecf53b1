"""A polite end: what a scheduler sends before it takes the machine away.

Slurm, Kubernetes and the clouds' pre-emptible machines send SIGTERM, wait for
some seconds, and kill. The signal is kept until the step is done.
"""

import contextlib
import signal
import threading
import time
from typing import Any


class Preempted(SystemExit):
    """Training was asked to stop, saved, and ends with 128 + the signal.

    143 for SIGTERM, as a shell reports a process that the signal ended: by
    it schedulers know a stopped job from a finished (0) or failed (1) one.
    """

    def __init__(self, number: int) -> None:
        super().__init__(128 + number)


class StopSignals:
    """Notes signals to stop, while it is active.

    Launchers pass on what their processes got from the scheduler already, so
    more of them mean nothing more. SIGKILL is for those in a hurry, or a
    second Ctrl-C.
    """

    def __init__(self, signals: tuple = (signal.SIGTERM,)):
        self.signals = tuple(signal.Signals(s) for s in signals)
        self.received = None
        self._at = 0.0
        self._before: dict[int, Any] = {}

    def begin(self) -> None:
        """Starts to note signals; does nothing outside the main thread."""
        if threading.current_thread() is not threading.main_thread():
            return
        for number in self.signals:
            if number not in self._before:
                self._before[number] = signal.signal(number, self._note)

    def end(self) -> None:
        """Leaves signals to whoever had them before."""
        while self._before:
            number, before = self._before.popitem()
            # `None` is a handler that was not set from Python.
            with contextlib.suppress(TypeError):
                signal.signal(number, before)

    def _note(self, number, frame):
        now = time.monotonic()
        if number != self.received:
            self.received, self._at = number, now
        # A launcher may pass on what the terminal sent its processes too.
        elif number == signal.SIGINT and now - self._at > 1:
            raise KeyboardInterrupt
