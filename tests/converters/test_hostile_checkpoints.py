"""Hostile files cost no more than their own size, and are told in a line."""

import pickle
import resource
import struct
import subprocess
import sys
import zipfile

import pytest
from pickles import tensor, to_pickle, write_archive

from keras_bidalle.converters import CheckpointError, read_checkpoint

pytestmark = pytest.mark.any_backend


def archive(path, pickled, storages=(), compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as file:
        file.writestr("archive/data.pkl", pickled)
        for name, data in dict(storages).items():
            file.writestr(f"archive/data/{name}", data)


def expanded(path):
    """A tensor of 2**40 equal numbers, stored as one."""
    content = {"w": tensor("FloatStorage", "0", 1, 0, (1 << 40,), (0,))}
    write_archive(path, content, {"0": b"\0" * 4})


def bomb(path):
    """1 GB of zeros in 1 MB."""
    n = 1 << 28
    content = {"w": tensor("FloatStorage", "0", n, 0, (n,), (1,))}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("archive/data.pkl", to_pickle(content))
        with file.open("archive/data/0", "w") as entry:
            for _ in range(n * 4 >> 24):
                entry.write(bytes(1 << 24))


def nested(depth):
    return b"\x80\x02}" + b"]" * depth + b"a" * (depth - 1) + b"."


MALICIOUS = {
    "memo": b"\x80\x02Nr" + struct.pack("<I", 10**9) + b"0}.",
    "bytes": b"\x80\x02\x8e" + struct.pack("<Q", 1 << 40) + b"x.",
    "hash": b"\x80\x02}N\x85" + b"2\x86" * 40 + b"Ns.",
    "tuples": b"\x80\x02}X\1\0\0\0aN\x85" + b"2\x86" * 40 + b"s.",
    "lists": nested(100_000),
    "long": b"\x80\x02\x8b" + struct.pack("<I", 2**31 - 1) + b"x.",
    "operations": b"\x80\x02" + b"N0" * 1_500_000 + b"}.",
    "name": b"\x80\x02c" + b"o" * 10**6 + b"\n\x1b[31msystem\n.",
}
CODE = """
import sys
from keras_bidalle.converters import read_state_dict
for path in sys.argv[1:]:
    try:
        read_state_dict(path)
    except ValueError as error:
        assert len(str(error)) <= 300 and str(error).isprintable(), error
"""


def limited():
    resource.setrlimit(resource.RLIMIT_DATA, (2 << 30, 2 << 30))


@pytest.mark.parametrize("name", MALICIOUS)
def test_malicious_pickles_are_told_in_one_line(tmp_path, name):
    archive(tmp_path / "x.ckpt", MALICIOUS[name])
    try:
        read_checkpoint(tmp_path / "x.ckpt")
    except CheckpointError as error:
        line = str(error)
        assert len(line) <= 300 and line.isprintable(), line


def test_hostile_files_take_little_memory(tmp_path):
    paths = []
    for make in (expanded, bomb):
        paths.append(tmp_path / f"{make.__name__}.ckpt")
        make(paths[-1])
    for name in ("memo", "bytes"):
        paths.append(tmp_path / f"{name}.ckpt")
        archive(paths[-1], MALICIOUS[name])
    subprocess.run(
        [sys.executable, "-c", CODE, *map(str, paths)],
        preexec_fn=limited,
        timeout=120,
        check=True,
    )


def test_an_error_without_words_has_a_reason(tmp_path):
    (tmp_path / "x.ckpt").write_bytes(pickle.dumps(None))
    with pytest.raises(CheckpointError) as error:
        read_checkpoint(tmp_path / "x.ckpt")
    assert not str(error.value).rstrip(" .").endswith("read:")
