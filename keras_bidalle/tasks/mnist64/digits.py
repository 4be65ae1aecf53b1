"""Where the small images of MNIST64 come from: 28x28 digits or clothes."""

import dataclasses
import gzip
import os
import pathlib
import struct
import threading
import urllib.request
import zlib

import numpy as np
from PIL import Image

from keras_bidalle.validation import check_choice

DATASETS = ("mnist", "fashion_mnist")
ITEM_SIZE = 28

# One small file of each, on the host that TensorFlow Datasets loads from.
PROBES = {
    "mnist": "https://storage.googleapis.com/cvdf-datasets/mnist/"
    "t10k-labels-idx1-ubyte.gz",
    "fashion_mnist": "http://fashion-mnist.s3-website.eu-central-1."
    "amazonaws.com/t10k-labels-idx1-ubyte.gz",
}
PROBE_SECONDS = 5.0


@dataclasses.dataclass(frozen=True)
class Items:
    """Small images with labels, in a train and a test part.

    Attributes:
        name: str, `"mnist"` or `"fashion_mnist"`: what the labels mean.
        source: str, where they were read, for logs and model cards.
        train_images, test_images: uint8 (N, 28, 28), white on black.
        train_labels, test_labels: int32 (N,), values in [0, 10).
    """

    name: str
    source: str
    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray


def load_items(
    dataset: str = "mnist", data_dir: str | os.PathLike[str] | None = None
) -> Items:
    """Loads the digits or the clothes.

    With `data_dir`, from there and nowhere else: the four IDX files of the
    data set (`train-images-idx3-ubyte` and so on, with or without `.gz`), or
    a folder that TensorFlow Datasets prepared, in `data_dir` itself or in
    its folder named like the data set. Without, from TensorFlow Datasets,
    which downloads them once; when there is no network, MNIST is replaced by
    scikit-learn's 8x8 digits, enlarged, and a line printed says so.

    Args:
        dataset: `"mnist"` or `"fashion_mnist"`.
        data_dir: str or `pathlib.Path`, optional.

    Returns:
        `Items`.

    Raises:
        ValueError: on another `dataset`, or a damaged file, which is named.
        FileNotFoundError: when `data_dir` does not exist or does not hold
            the data set; the message names what is missing.
        RuntimeError: when Fashion-MNIST can be had from nowhere.
    """
    check_choice(DATASETS, dataset=dataset)
    if data_dir is not None:
        return _from_folder(dataset, pathlib.Path(data_dir).expanduser())
    try:
        return _from_tfds(dataset)
    # Whatever keeps the data set away (no package, no network, a host that
    # moved) has the same remedy, and the message carries the reason.
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
    if dataset == "fashion_mnist":
        raise RuntimeError(
            "Fashion-MNIST is not at hand and cannot be downloaded "
            f"({reason}). Give a folder with its IDX files by `data_dir`."
        )
    print(
        "MNIST is not at hand and cannot be downloaded "
        f"({reason}): using scikit-learn's 1,797 digits of 8x8 pixels, "
        "enlarged, instead. Give a folder with MNIST by `data_dir`."
    )
    return _from_sklearn()


def _from_folder(dataset, folder):
    if not folder.is_dir():
        raise FileNotFoundError(
            "`data_dir` must be an existing folder. "
            f"Received: data_dir={str(folder)!r}"
        )
    places = [folder, folder / dataset]
    for place in places:
        if any(_find_idx(place, *part) for part in _IDX_PARTS):
            return _from_idx(dataset, place)
    for place in places:
        prepared = _find_prepared(dataset, place)
        if prepared is not None:
            return _read_prepared(dataset, prepared)
    raise FileNotFoundError(
        f"`data_dir` holds no {dataset}: neither IDX files "
        "(train-images-idx3-ubyte[.gz], ...) nor a folder prepared by "
        f"TensorFlow Datasets ({dataset}/<version>/dataset_info.json). "
        f"Received: data_dir={str(folder)!r}"
    )


# (part of the data set, kind, rank)
_IDX_PARTS = [
    (part, kind, rank)
    for part in ("train", "t10k")
    for kind, rank in (("images", 3), ("labels", 1))
]


def _find_idx(folder, part, kind, rank):
    for separator in "-.":
        for suffix in ("", ".gz"):
            path = folder / f"{part}-{kind}{separator}idx{rank}-ubyte{suffix}"
            if path.is_file():
                return path
    return None


def _from_idx(dataset, folder):
    arrays = {}
    for part, kind, rank in _IDX_PARTS:
        path = _find_idx(folder, part, kind, rank)
        if path is None:
            raise FileNotFoundError(
                f"{folder} has no {part}-{kind}-idx{rank}-ubyte[.gz]"
            )
        arrays[part, kind] = _read_idx(path, rank)
    found = []
    for part in ("train", "t10k"):
        images, labels = arrays[part, "images"], arrays[part, "labels"]
        if images.shape[1:] != (ITEM_SIZE, ITEM_SIZE):
            raise ValueError(
                f"The {part} images in {folder} must be 28x28. "
                f"Received: shape={images.shape}"
            )
        if len(images) != len(labels):
            raise ValueError(
                f"{folder} has {len(images)} {part} images but "
                f"{len(labels)} {part} labels"
            )
        if labels.size and labels.max() > 9:
            raise ValueError(
                f"The {part} labels in {folder} must lie in [0, 10). "
                f"Received: max={labels.max()}"
            )
        found += [images, labels.astype("int32")]
    return Items(dataset, f"IDX files in {folder}", *found)


def _read_idx(path, rank):
    """An IDX file of unsigned bytes, plain or gzip by its suffix."""
    try:
        content = path.read_bytes()
        if path.suffix == ".gz":
            content = gzip.decompress(content)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"{path} is damaged: {error}") from error
    header = 4 + 4 * rank
    # The magic number: two zeros, 8 for unsigned bytes, the rank.
    if len(content) < header or content[:4] != bytes((0, 0, 8, rank)):
        raise ValueError(
            f"{path} is not an IDX file of unsigned bytes with {rank} "
            f"dimensions. It starts with {content[:4].hex() or 'nothing'}, "
            f"expected {bytes((0, 0, 8, rank)).hex()}"
        )
    shape = struct.unpack(f">{rank}I", content[4:header])
    expected = header + int(np.prod(shape, dtype="int64"))
    if len(content) != expected:
        raise ValueError(
            f"{path} is damaged: its header says {shape}, {expected} bytes, "
            f"but it has {len(content)}"
        )
    array = np.frombuffer(content, "uint8", offset=header)
    return array.reshape(shape)


def _find_prepared(dataset, folder):
    """The newest version of a data set that tfds prepared in a folder."""
    for pattern in ("dataset_info.json", "*/dataset_info.json"):
        found = sorted(folder.glob(pattern))
        # `<...>/mnist/3.0.1/dataset_info.json`
        found = [p for p in found if p.resolve().parts[-3] == dataset]
        if found:
            return found[-1].parent
    return None


def _read_prepared(dataset, folder):
    import tensorflow_datasets as tfds

    # From the folder itself: nothing is looked up elsewhere.
    builder = tfds.builder_from_directory(str(folder))
    return _from_builder(dataset, builder, f"TensorFlow Datasets in {folder}")


def _from_tfds(dataset):
    import tensorflow_datasets as tfds

    home = pathlib.Path(tfds.core.constants.DATA_DIR).expanduser()
    prepared = _find_prepared(dataset, home / dataset)
    if prepared is not None:
        return _read_prepared(dataset, prepared)
    # tfds retries an unreachable host for minutes.
    _probe(PROBES[dataset])
    builder = tfds.builder(dataset)
    builder.download_and_prepare()
    return _from_builder(dataset, builder, "TensorFlow Datasets")


def _probe(url):
    """Raises unless `url` answers within seconds."""
    errors = [TimeoutError(f"no answer from {url} in {PROBE_SECONDS:g} s")]

    def ask():
        try:
            request = urllib.request.Request(url, method="HEAD")
            urllib.request.urlopen(request, timeout=PROBE_SECONDS).close()
            errors.clear()
        except Exception as error:
            errors[:] = [error]

    # A thread, because looking up a name ignores the timeout.
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(PROBE_SECONDS)
    for error in list(errors):
        raise error


def _from_builder(dataset, builder, source):
    arrays = []
    for split in ("train", "test"):
        # On a private thread pool tfds decodes all at once, in seconds.
        whole = builder.as_dataset(split=split, batch_size=-1)
        arrays.append(np.asarray(whole["image"])[..., 0])
        arrays.append(np.asarray(whole["label"]).astype("int32"))
    return Items(dataset, source, *arrays)


def _from_sklearn():
    from sklearn.datasets import load_digits

    digits = load_digits()
    small = np.rint(digits.images * (255 / 16)).astype("uint8")
    # As in MNIST: 20x20 within a margin of 4.
    images = np.zeros((len(small), ITEM_SIZE, ITEM_SIZE), "uint8")
    for image, digit in zip(images, small, strict=True):
        large = Image.fromarray(digit).resize((20, 20), Image.BICUBIC)
        image[4:24, 4:24] = np.asarray(large)
    labels = digits.target.astype("int32")
    # The digits lie in the order of their writers: the last ones wrote none
    # of the training digits.
    train, test = slice(1500), slice(1500, None)
    parts = (images[train], labels[train], images[test], labels[test])
    return Items("mnist", "scikit-learn digits (8x8, enlarged)", *parts)
