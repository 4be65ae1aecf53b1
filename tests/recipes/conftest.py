"""Data for the programs: strokes instead of digits, in MNIST's files."""

import gzip

import numpy as np
import pytest
from trained import GENERATOR_RUN, TOKENIZER_RUN, write_pictures


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


@pytest.fixture(scope="session")
def digits(tmp_path_factory):
    """A folder of IDX files, which also has room for runs."""
    folder = tmp_path_factory.mktemp("mnist64")
    write_idx(folder)
    return folder


@pytest.fixture(autouse=True)
def few_shown(monkeypatch):
    """Runs of MNIST64 show two images instead of sixteen."""
    from keras_bidalle.tasks.mnist64 import task

    monkeypatch.setattr(task, "SHOWN", 2)


@pytest.fixture(scope="session")
def pictures(tmp_path_factory):
    """A folder of images with captions, and what they are."""
    folder = tmp_path_factory.mktemp("pictures") / "mnist64"
    batch = write_pictures(folder)
    # One that no program may stumble over.
    (folder / "broken.png").write_bytes(b"\x89PNG and no more")
    (folder / "broken.txt").write_text("the number is red 3 .\n")
    return folder, batch


@pytest.fixture(scope="session")
def runs(pictures, tmp_path_factory):
    """A tokenizer and a generator, trained on the folder of images."""
    import train_generator
    import train_tokenizer

    names = {
        "folder": pictures[0],
        "output": tmp_path_factory.mktemp("runs"),
    }
    for program, line in (
        (train_tokenizer, TOKENIZER_RUN),
        (train_generator, GENERATOR_RUN),
    ):
        assert not program.main(line.format(**names).split())
    return names["output"]
