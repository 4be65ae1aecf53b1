import errno
import pathlib
import resource

import numpy as np
import pytest

from keras_bidalle.training import DamagedCheckpoint
from keras_bidalle.training.checkpoint_files import (
    read_checkpoint,
    write_checkpoint,
)

pytestmark = pytest.mark.any_backend

STATE = {"step": 3, "history": [{"loss": 0.5}]}


def written(folder):
    rng = np.random.default_rng(0)
    groups = {
        "model": [rng.normal(size=(5, 7)).astype("float32"), np.array(3)],
        "optimizer": [rng.integers(0, 9, 11)],
    }
    path = folder / "step-000000003.npz"
    write_checkpoint(path, STATE, groups)
    return path, groups


def test_what_is_written_is_read(tmp_path):
    path, groups = written(tmp_path)
    state, found = read_checkpoint(path)
    assert {name: state[name] for name in STATE} == STATE
    assert found.keys() == groups.keys()
    for name, arrays in groups.items():
        for expected, array in zip(arrays, found[name], strict=True):
            np.testing.assert_array_equal(expected, array)
            assert expected.dtype == array.dtype


def test_numpy_alone_opens_it(tmp_path):
    path, groups = written(tmp_path)
    with np.load(path) as saved:
        np.testing.assert_array_equal(saved["model.00000"], groups["model"][0])


def test_a_flip_anywhere_is_found(tmp_path):
    path, _ = written(tmp_path)
    whole = path.read_bytes()
    rng = np.random.default_rng(1)
    ends = [0, 1, len(whole) - 72, len(whole) - 71, len(whole) - 1]
    for place in [*ends, *rng.integers(0, len(whole), 60).tolist()]:
        damaged = bytearray(whole)
        damaged[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(bytes(damaged))
        with pytest.raises(DamagedCheckpoint):
            read_checkpoint(path)


def test_a_cut_anywhere_is_found(tmp_path):
    path, _ = written(tmp_path)
    whole = path.read_bytes()
    rng = np.random.default_rng(2)
    places = [0, 1, 70, 71, 72, len(whole) - 1]
    for length in [*places, *rng.integers(0, len(whole), 20).tolist()]:
        path.write_bytes(whole[:length])
        with pytest.raises(DamagedCheckpoint):
            read_checkpoint(path)


class limited_files:
    """No file may become longer: what a full disk does to a writer."""

    def __init__(self, size):
        self.size = size

    def __enter__(self):
        self.before = resource.getrlimit(resource.RLIMIT_FSIZE)
        limits = (self.size, self.before[1])
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    def __exit__(self, *_):
        resource.setrlimit(resource.RLIMIT_FSIZE, self.before)


def test_a_disk_that_is_full_leaves_what_was_there(tmp_path):
    path, groups = written(tmp_path)
    before = path.read_bytes()
    for size in (0, 100, len(before) - 40):
        with limited_files(size), pytest.raises(OSError) as caught:
            write_checkpoint(path, {"step": 4}, groups)
        assert caught.value.errno == errno.EFBIG
        assert path.read_bytes() == before
        assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_a_device_without_room_says_so(tmp_path):
    if not pathlib.Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    from keras_bidalle.training.checkpoint_files import _HashingFile

    with pytest.raises(OSError) as caught:
        with _HashingFile("/dev/full") as file:
            file.write(b"something")
    assert caught.value.errno == errno.ENOSPC
