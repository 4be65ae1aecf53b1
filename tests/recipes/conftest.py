"""Data for the programs: strokes instead of digits, in MNIST's files."""

import gzip

import numpy as np
import pytest


def write_idx(folder):
    rng = np.random.default_rng(0)
    for part, count in (("train", 60), ("t10k", 40)):
        strokes = (rng.random((count, 7, 7)) > 0.6).astype(np.uint8) * 255
        images = strokes.repeat(4, axis=1).repeat(4, axis=2)
        labels = (np.arange(count) % 10).astype(np.uint8)
        for name, array in (("images", images), ("labels", labels)):
            header = (
                bytes([0, 0, 8, array.ndim])
                + np.array(array.shape, ">i4").tobytes()
            )
            path = folder / f"{part}-{name}-idx{array.ndim}-ubyte.gz"
            path.write_bytes(gzip.compress(header + array.tobytes()))


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """A folder of IDX files, which also has room for runs."""
    folder = tmp_path_factory.mktemp("mnist64")
    write_idx(folder)
    return folder
