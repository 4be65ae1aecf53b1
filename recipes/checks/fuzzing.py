"""Feeds changed files to a reader, and keeps those that take new steps."""

import contextlib
import os
import pathlib
import pickle
import resource
import select
import signal
import sys
import tempfile
import time

SECONDS, MEGABYTES, MAX_LENGTH = 10, 500, 300
# Of the clock, for a child that does nothing at all.
_HANGS = 600


class Coverage:
    """Which line of some files follows which, for the first time.

    Args:
        room: str, a part of the files' paths.
    """

    def __init__(self, room):
        self.room, self.steps, self.last = room, set(), 0

    def _trace(self, frame, event, argument):
        return self._line if self.room in frame.f_code.co_filename else None

    def _line(self, frame, event, argument):
        code = frame.f_code
        step = code.co_filename, code.co_name, self.last, frame.f_lineno
        self.steps.add(hash(step))
        self.last = frame.f_lineno
        return self._line

    def of(self, call):
        """The steps that a call takes and none took before."""
        before, self.last = set(self.steps), 0
        sys.settrace(self._trace)
        try:
            call()
        finally:
            sys.settrace(None)
        return self.steps - before


def check_message(error):
    """Raises unless an error is told in one printable line."""
    line = str(error)
    if not line or len(line) > MAX_LENGTH or not line.isprintable():
        raise AssertionError("the message is no short line") from error


def peak():
    """The most memory that this process had, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10


def _late(number, frame):
    raise TimeoutError(f"more than {SECONDS} s")


def in_this_process(call, coverage):
    """Runs a call within the limits: its new steps, seconds and MB."""
    began, before = time.process_time(), peak()
    signal.signal(signal.SIGPROF, _late)
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        new = coverage.of(call)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    return new, time.process_time() - began, peak() - before


def in_a_child(call, coverage):
    """As `in_this_process`, where a call may end the process."""
    receiver, sender = os.pipe()
    child = os.fork()
    if not child:
        _answer(call, coverage, sender)
    os.close(sender)
    parts = []
    while select.select([receiver], [], [], _HANGS)[0]:
        parts.append(os.read(receiver, 1 << 16))
        if not parts[-1]:
            break
    else:
        os.kill(child, signal.SIGKILL)
    os.close(receiver)
    _, status, used = os.wait4(child, 0)
    if status or not any(parts):
        raise AssertionError(f"the process ended with status {status}")
    error, new, megabytes = pickle.loads(b"".join(parts))
    if error is not None:
        raise AssertionError(error)
    coverage.steps |= new
    return new, used.ru_utime + used.ru_stime, megabytes


def _answer(call, coverage, sender):
    """What the child does."""
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    error, new, before = None, set(), peak()
    try:
        new = coverage.of(call)
    except BaseException as caught:
        error = f"{type(caught).__name__}: {caught}"[:200]
    with open(sender, "wb") as file:
        file.write(pickle.dumps((error, new, peak() - before)))
    os._exit(0)


def processor_seconds():
    """Of this process and its children."""
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


def fuzz(seconds, reader, files, rng, failures):
    """Changes files for some time of the processor.

    Args:
        seconds: float; all files are read once in any case.
        reader: object with `room` (see `Coverage`), `changed(data, rng)`,
            `placed(data, folder)`, which writes a file and gives its path,
            `read(path)`, which raises what no user may meet, and `run`, one
            of the two above.
        files: list of bytes.
        rng: `random.Random`.
        failures: `pathlib.Path` of a folder for what fails.

    Returns:
        Tuple of the list of those kept, and the figures.
    """
    coverage, kept, waiting = Coverage(reader.room), [], list(files)
    runs, failed, slowest, most = 0, 0, 0.0, 0
    start = processor_seconds()
    while waiting or processor_seconds() - start < seconds:
        data = (
            waiting.pop() if waiting else reader.changed(rng.choice(kept), rng)
        )
        with tempfile.TemporaryDirectory() as folder:
            path = reader.placed(data, pathlib.Path(folder))
            call = lambda path=path: reader.read(path)  # noqa: E731
            try:
                new, took, megabytes = reader.run(call, coverage)
                slowest, most = max(slowest, took), max(most, megabytes)
                if megabytes > MEGABYTES:
                    raise AssertionError(f"{megabytes} MB")
            except Exception as error:
                failed += 1
                failures.mkdir(parents=True, exist_ok=True)
                (failures / f"{failed}.bin").write_bytes(data)
                print(f"{type(error).__name__}: {error}"[:200], file=sys.stderr)
            else:
                if new or not kept:
                    kept.append(data)
        runs += 1
    return kept, {
        "runs": runs,
        "processor_seconds": round(processor_seconds() - start, 1),
        "failures": failed,
        "slowest_seconds": round(slowest, 2),
        "most_mb_of_a_file": most,
        "steps_between_lines": len(coverage.steps),
        "kept": len(kept),
    }


def minimized(reader, files):
    """The smallest files that take all the steps."""
    coverage, kept = Coverage(reader.room), []
    for data in sorted(files, key=len):
        with tempfile.TemporaryDirectory() as folder:
            path = reader.placed(data, pathlib.Path(folder))
            with contextlib.suppress(Exception):
                call = lambda path=path: reader.read(path)  # noqa: E731
                if reader.run(call, coverage)[0]:
                    kept.append(data)
    return kept
