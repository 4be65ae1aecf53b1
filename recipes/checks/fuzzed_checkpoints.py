"""Checkpoint files for `fuzz_readers.py`: small ones, and how they change."""

import argparse
import collections
import contextlib
import datetime
import io
import json
import pathlib
import pickle
import struct
import zipfile

import numpy as np
from fuzzing import check_message, in_this_process

MAX_BYTES = 20_000
OPCODES = b"(.012FIKLMNPQRSTUVXabcdeghijlopqrstu}\x80\x81\x85\x86\x87\x88\x89"
OPCODES += b"\x8a\x8b\x8c\x8e\x8f\x90\x91\x92\x93\x94\x95\x96]\x42\x43\x47"
NUMBERS = [2**n + d for n in (7, 8, 15, 16, 31, 32, 40) for d in (-1, 0)]
NAMES = [b"torch._utils\n_rebuild_tensor_v2\n", b"torch\nFloatStorage\n"]
NAMES += [b"collections\nOrderedDict\n", b"os\nsystem\n", b"numpy\ndtype\n"]


def archive(pickled, storages, compression=zipfile.ZIP_STORED):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as zipped:
        zipped.writestr("a/data.pkl", pickled)
        for name, data in storages:
            zipped.writestr(f"a/data/{name}", data)
    return file.getvalue()


def seeds():
    """Small files: one of each kind, dtype and protocol of pickles."""
    yield from kinds()
    yield from dtypes()
    yield from protocols()


def dtypes():
    """A tensor of each dtype: in a zip file, in safetensors."""
    found = list(kinds())
    zipped, text = found[0], found[2]
    with zipfile.ZipFile(io.BytesIO(zipped)) as file:
        pickled = file.read("a/data.pkl")
    for name in ("Double", "Half", "BFloat16", "Long", "Int", "Short", "Char"):
        yield archive(_of_storage(pickled, name), [("0", bytes(96))])
    for name in ("Byte", "Bool", "ComplexFloat", "ComplexDouble", "Untyped"):
        yield archive(_of_storage(pickled, name), [("0", bytes(96))])
    big = archive(pickled, [("0", bytes(24))])
    file = io.BytesIO(big)
    with zipfile.ZipFile(file, "a") as zipped:
        zipped.writestr("a/byteorder", b"big")
    yield file.getvalue()
    yield archive(pickled, [("0", bytes(24))], zipfile.ZIP_DEFLATED)
    for name, size in (
        *(("F64", 8), ("F16", 2), ("BF16", 2), ("I64", 8), ("I32", 4)),
        *(("I16", 2), ("I8", 1), ("U8", 1), ("U16", 2), ("U32", 4)),
        *(("U64", 8), ("BOOL", 1), ("F8_E4M3", 1), ("F8_E5M2", 1)),
        *(("F8_E8M0", 1), ("C64", 8)),
    ):
        header = text[8:-24].replace(b'"F32"', b'"%s"' % name.encode())
        header = header.replace(b"[0, 24]", b"[0, %d]" % (6 * size))
        yield struct.pack("<Q", len(header)) + header + bytes(6 * size)


def _of_storage(pickled, name):
    return pickled.replace(b"FloatStorage", f"{name}Storage".encode())


def protocols():
    """What training programs keep, by each protocol of pickles."""
    weights = {"w": np.arange(6, dtype=">f4").reshape(2, 3)}
    settings = argparse.Namespace(depth=2, rates=(0.5, 1e-3), name="x")
    content = {
        "state_dict": collections.OrderedDict(weights),
        "ema": {"w": np.asfortranarray(np.ones((2, 3)))},
        "hyper_parameters": {"args": settings, "seed": 1 << 70},
        "callbacks": collections.Counter(a=1),
        "loops": collections.defaultdict(list, a=[1]),
        "recent": collections.deque([1, 2], 3),
        "when": datetime.datetime(2021, 1, 2),
        "where": pathlib.PurePosixPath("a/b"),
        "best": np.float64(0.5),
        "seen": {1, 2},
        "frozen": frozenset({3}),
        "note": b"bytes" + bytes(bytearray(3)),
        "complex": 1 + 2j,
    }
    for protocol in range(6):
        yield archive(pickle.dumps(content, protocol), [])


def kinds():
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


class Checkpoints:
    """The readers of checkpoints; see `fuzzing.fuzz`."""

    room = str(pathlib.Path("keras_bidalle", "converters"))
    seeds = staticmethod(seeds)
    changed = staticmethod(changed)
    run = staticmethod(in_this_process)

    def __init__(self):
        # What is imported for the first file is not that file's doing.
        import keras_bidalle.converters  # noqa: F401

    def placed(self, data, folder):
        path = folder / f"x{suffix(data)}"
        path.write_bytes(data)
        return path

    def read(self, path):
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
                check_message(error)
