import gzip
import struct
import sys
import types

import numpy as np
import pytest

from keras_bidalle.tasks.mnist64 import digits, load_items

pytestmark = pytest.mark.any_backend

FILES = {
    "train-images-idx3-ubyte": (12, 28, 28),
    "train-labels-idx1-ubyte": (12,),
    "t10k-images-idx3-ubyte": (6, 28, 28),
    "t10k-labels-idx1-ubyte": (6,),
}


def idx_bytes(array):
    header = bytes((0, 0, 8, array.ndim))
    return header + struct.pack(f">{array.ndim}I", *array.shape) + bytes(array)


def write_idx(folder, suffix=".gz"):
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    arrays = {}
    for name, shape in FILES.items():
        array = rng.integers(10, size=shape, dtype="uint8")
        content = idx_bytes(np.ascontiguousarray(array))
        if suffix:
            content = gzip.compress(content)
        (folder / (name + suffix)).write_bytes(content)
        arrays[name] = array
    return arrays


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("inside", ["", "fashion_mnist"])
def test_idx_files_are_read_plain_or_compressed(tmp_path, suffix, inside):
    arrays = write_idx(tmp_path / inside, suffix)
    items = load_items("fashion_mnist", tmp_path)
    assert items.name == "fashion_mnist"
    names = ("train_images", "train_labels", "test_images", "test_labels")
    for name, array in zip(names, arrays.values(), strict=True):
        np.testing.assert_array_equal(getattr(items, name), array)
    assert items.train_images.dtype == np.uint8
    assert items.train_labels.dtype == np.int32


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        load_items("mnist", tmp_path / "nowhere")


def test_a_folder_without_the_data_set_says_what_was_looked_for(tmp_path):
    with pytest.raises(FileNotFoundError, match="neither IDX files"):
        load_items("mnist", tmp_path)


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(tmp_path, name):
    write_idx(tmp_path)
    (tmp_path / f"{name}.gz").unlink()
    with pytest.raises(FileNotFoundError, match=name):
        load_items("mnist", tmp_path)


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[: len(content) // 2],
        lambda content: b"",
        lambda content: b"<html>not found</html>",
        lambda content: content[:20] + b"\xff\xff\xff\xff" + content[24:],
        lambda content: gzip.compress(gzip.decompress(content)[:-1]),
        lambda content: gzip.compress(gzip.decompress(content) + b"0"),
        lambda content: gzip.compress(b"\0\0\x0d\3"),
        lambda content: gzip.compress(b"\0\0\x08"),
    ],
)
def test_a_damaged_file_is_named(tmp_path, damage):
    write_idx(tmp_path)
    path = tmp_path / "t10k-images-idx3-ubyte.gz"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ValueError, match=path.name):
        load_items("mnist", tmp_path)


def test_images_and_labels_must_be_as_many(tmp_path):
    write_idx(tmp_path, "")
    path = tmp_path / "train-labels-idx1-ubyte"
    path.write_bytes(idx_bytes(np.zeros(11, "uint8")))
    with pytest.raises(ValueError, match="12 train images but 11"):
        load_items("mnist", tmp_path)


def test_images_must_be_28_by_28_and_labels_below_10(tmp_path):
    write_idx(tmp_path, "")
    path = tmp_path / "t10k-labels-idx1-ubyte"
    path.write_bytes(idx_bytes(np.full(6, 10, "uint8")))
    with pytest.raises(ValueError, match="max=10"):
        load_items("mnist", tmp_path)
    path = tmp_path / "train-images-idx3-ubyte"
    path.write_bytes(idx_bytes(np.zeros((12, 14, 14), "uint8")))
    with pytest.raises(ValueError, match="must be 28x28"):
        load_items("mnist", tmp_path)


def test_an_unknown_data_set_is_refused():
    with pytest.raises(ValueError, match="dataset='emnist'"):
        load_items("emnist")


def no_network(tmp_path, monkeypatch):
    """tfds that has nothing prepared and must not be asked to download."""

    def refuse(*args, **kwargs):
        raise AssertionError("tfds was asked to download")

    constants = types.SimpleNamespace(DATA_DIR=str(tmp_path))
    fake = types.ModuleType("tensorflow_datasets")
    fake.core = types.SimpleNamespace(constants=constants)
    fake.builder = refuse
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", fake)

    def unreachable(*args, **kwargs):
        raise OSError("network is unreachable")

    monkeypatch.setattr(digits.urllib.request, "urlopen", unreachable)


def test_without_a_network_scikit_learn_s_digits_stand_in_and_say_so(
    tmp_path, monkeypatch, capsys
):
    no_network(tmp_path, monkeypatch)
    items = load_items("mnist")
    said = capsys.readouterr().out
    assert "scikit-learn" in said
    assert "network is unreachable" in said
    assert "scikit-learn" in items.source
    assert items.name == "mnist"
    assert items.train_images.shape == (1500, 28, 28)
    assert items.test_images.shape == (297, 28, 28)
    assert items.train_images.dtype == np.uint8
    assert items.train_images.max() == 255
    for labels in (items.train_labels, items.test_labels):
        assert set(labels) == set(range(10))


def test_without_a_network_fashion_is_refused(tmp_path, monkeypatch):
    no_network(tmp_path, monkeypatch)
    with pytest.raises(RuntimeError, match="`data_dir`"):
        load_items("fashion_mnist")


def test_a_host_that_does_not_answer_costs_seconds(monkeypatch):
    def hang(*args, **kwargs):
        threading_event.wait(30)

    import threading
    import time

    threading_event = threading.Event()
    monkeypatch.setattr(digits.urllib.request, "urlopen", hang)
    monkeypatch.setattr(digits, "PROBE_SECONDS", 0.1)
    start = time.monotonic()
    with pytest.raises(TimeoutError, match="0.1 s"):
        digits._probe("http://example.invalid")
    assert time.monotonic() - start < 5
    threading_event.set()


def test_a_folder_prepared_by_tfds_is_read(shared_dir):
    prepared = load_items("mnist", shared_dir / "data" / "tfds")
    original = load_items("mnist", shared_dir / "data" / "mnist")
    # tfds shuffles what it prepares: the same images in another order.
    for part in ("train", "test"):
        counts = [
            np.bincount(getattr(items, f"{part}_labels"))
            for items in (prepared, original)
        ]
        np.testing.assert_array_equal(*counts)
        sums = [
            getattr(items, f"{part}_images").sum(axis=(1, 2), dtype="int64")
            for items in (prepared, original)
        ]
        np.testing.assert_array_equal(*map(np.sort, sums))
