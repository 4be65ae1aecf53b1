"""Feeds damaged files to the readers of checkpoints, guided by coverage.

    python recipes/checks/fuzz_readers.py --seconds 600
    python recipes/checks/fuzz_readers.py --minimize tests/converters/corpus

A file that takes new steps in the readers is kept and changed further.
Right is what the documentation says: a result, or a `CheckpointError` of one
printable line of at most 300 characters, within 10 seconds and 500 MB. Prints
the runs, seconds, peak memory and failures as JSON; failing files stay in
`--failures`. `--minimize` writes the kept files to a folder.
"""

import argparse
import contextlib
import io
import json
import pathlib
import pickle
import random
import resource
import signal
import struct
import sys
import tempfile
import time
import zipfile

SECONDS, MEGABYTES, MAX_LENGTH = 10, 500, 300
MAX_BYTES = 20_000
CORPUS = pathlib.Path(__file__).parents[2] / "tests/converters/corpus"
ROOM = str(pathlib.Path("keras_bidalle", "converters"))
OPCODES = b"(.012FIKLMNPQRSTUVXabcdeghijlopqrstu}\x80\x81\x85\x86\x87\x88\x89"
OPCODES += b"\x8a\x8b\x8c\x8e\x8f\x90\x91\x92\x93\x94\x95\x96]\x42\x43\x47"
NUMBERS = [2**n + d for n in (7, 8, 15, 16, 31, 32, 40) for d in (-1, 0)]
NAMES = [b"torch._utils\n_rebuild_tensor_v2\n", b"torch\nFloatStorage\n"]
NAMES += [b"collections\nOrderedDict\n", b"os\nsystem\n", b"numpy\ndtype\n"]


class Coverage:
    """Which line of the readers follows which, for the first time."""

    def __init__(self):
        self.lines, self.last = set(), 0

    def _trace(self, frame, event, argument):
        return self._line if ROOM in frame.f_code.co_filename else None

    def _line(self, frame, event, argument):
        self.lines.add((frame.f_code, self.last, frame.f_lineno))
        self.last = frame.f_lineno
        return self._line

    def grows(self, call):
        """Whether a call takes steps that none took before."""
        before = len(self.lines)
        sys.settrace(self._trace)
        try:
            call()
        finally:
            sys.settrace(None)
        return len(self.lines) > before


def archive(pickled, storages):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as zipped:
        zipped.writestr("a/data.pkl", pickled)
        for name, data in storages:
            zipped.writestr(f"a/data/{name}", data)
    return file.getvalue()


def seeds():
    """One small file of each kind."""
    rebuild = b"ctorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storagectorch\n"
    rebuild += b"FloatStorage\nX\1\0\0\x000X\3\0\0\0cpuK\6tQK\0K\2K\3\x86K\3K\1"
    rebuild += b"\x86\x89ccollections\nOrderedDict\n)RtR"
    state = b"\x80\x02}X\x0a\0\0\0state_dict}X\1\0\0\0w" + rebuild + b"ss."
    yield archive(state, [("0", bytes(24))])
    legacy = b"".join(
        pickle.dumps(part, 2)
        for part in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True})
    )
    data = pickle.dumps(["0"], 2) + struct.pack("<q", 6) + bytes(24)
    yield legacy + state + data
    header = {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}
    text = json.dumps({"w": header, "__metadata__": {"a": "b"}}).encode()
    yield struct.pack("<Q", len(text)) + text + bytes(24)
    yield json.dumps({"weight_map": {"w": "other.safetensors"}}).encode()
    module = b"\x80\x02ctorch.nn.modules.linear\nLinear\n)\x81}("
    module += b"X\x0b\0\0\0_parameters}X\1\0\0\0w" + rebuild + b"s"
    module += b"X\x08\0\0\0_modules}X\x08\0\0\0_buffers}ub."
    yield archive(module, [("0", bytes(24))])


def changed(data, rng):
    """A file with a few changes; of an archive, often inside of it."""
    if data[:2] == b"PK" and rng.random() < 0.9:
        with contextlib.suppress(Exception):
            with zipfile.ZipFile(io.BytesIO(data)) as zipped:
                parts = {i.filename: zipped.read(i) for i in zipped.infolist()}
            pickled = bytes_changed(parts.pop("a/data.pkl"), rng)
            storages = [(n.rpartition("/")[2], d) for n, d in parts.items()]
            return archive(pickled, storages)
    return bytes_changed(data, rng)


def bytes_changed(data, rng):
    data = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4, 8))):
        at = rng.randrange(len(data) + 1)
        kind = rng.randrange(7)
        if kind == 0 and at < len(data):
            data[at] = rng.randrange(256)
        elif kind == 1:
            data[at:at] = bytes([rng.choice(OPCODES)]) * rng.choice((1, 1, 9))
        elif kind == 2:
            del data[at : at + rng.choice((1, 2, 8, 40))]
        elif kind == 3:
            start = rng.randrange(len(data) + 1)
            data[at:at] = data[start : start + rng.randrange(64)]
        elif kind == 4:
            number = rng.choice(NUMBERS).to_bytes(8, "little")
            data[at : at + rng.choice((0, 4, 8))] = number
        elif kind == 5:
            data[at:at] = b"c" + rng.choice(NAMES)
        else:
            data[at:at] = b"2\x86" * rng.choice((2, 20, 60))
    return bytes(data[:MAX_BYTES])


def suffix(data):
    if data[8:9] == b"{":
        return ".safetensors"
    return ".index.json" if data[:1] == b"{" else ".ckpt"


def read(path):
    """Reads a file in all ways; raises what no user may meet."""
    from keras_bidalle.converters import (
        CheckpointError,
        read_checkpoint,
        read_module,
        read_state_dict,
    )

    for reader in (read_checkpoint, read_state_dict, read_module):
        try:
            reader(path)
        except (CheckpointError, FileNotFoundError) as error:
            line = str(error)
            if len(line) > MAX_LENGTH or not line.isprintable():
                raise AssertionError("the message is no short line") from error


def late(number, frame):
    raise TimeoutError(f"more than {SECONDS} s")


def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10


def fuzz(seconds, files, rng, failures):
    """Changes files for some time; returns those kept, and the figures."""
    coverage, kept = Coverage(), []
    runs, failed, slowest = 0, 0, 0.0
    signal.signal(signal.SIGALRM, late)
    start, base, waiting = time.monotonic(), None, list(files)
    with tempfile.TemporaryDirectory() as folder:
        while waiting or time.monotonic() - start < seconds:
            data = waiting.pop() if waiting else changed(rng.choice(kept), rng)
            path = pathlib.Path(folder, f"x{suffix(data)}")
            path.write_bytes(data)
            began, before = time.monotonic(), peak()
            base = before if base is None else base
            signal.alarm(SECONDS)
            try:
                is_new = coverage.grows(lambda path=path: read(path))
                if peak() - before > MEGABYTES:
                    raise AssertionError(f"{peak() - before} MB")
            except Exception as error:
                failed += 1
                failures.mkdir(parents=True, exist_ok=True)
                (failures / f"{failed}{path.suffix}").write_bytes(data)
                print(f"{type(error).__name__}: {error}"[:200], file=sys.stderr)
            else:
                if is_new or not kept:
                    kept.append(data)
            finally:
                signal.alarm(0)
            path.unlink()
            runs += 1
            slowest = max(slowest, time.monotonic() - began)
    return kept, {
        "runs": runs,
        "seconds": round(time.monotonic() - start, 1),
        "failures": failed,
        "slowest_seconds": round(slowest, 2),
        "peak_mb_above_start": peak() - base,
        "steps_between_lines": len(coverage.lines),
        "kept": len(kept),
    }


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--corpus", type=pathlib.Path, default=CORPUS)
    parser.add_argument("--minimize", type=pathlib.Path, metavar="FOLDER")
    parser.add_argument(
        "--failures", type=pathlib.Path, default=pathlib.Path("failures")
    )
    options = parser.parse_args(arguments)
    paths = sorted(options.corpus.glob("*")) if options.corpus.is_dir() else []
    files = [*seeds(), *(path.read_bytes() for path in paths)]
    rng = random.Random(options.seed)
    kept, figures = fuzz(options.seconds, files, rng, options.failures)
    if options.minimize is not None:
        options.minimize.mkdir(parents=True, exist_ok=True)
        for number, data in enumerate(kept):
            (options.minimize / f"{number:04}.bin").write_bytes(data)
    print(json.dumps(figures))
    return 1 if figures["failures"] else 0


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_DATA, (4 << 30, 4 << 30))
    sys.exit(main())
