"""Published weights of the networks that figures are made with."""

import os
import pathlib
from typing import Any

import numpy as np

from keras_bidalle.converters.graph_def import read_constants
from keras_bidalle.converters.state_dict import read_state_dict
from keras_bidalle.converters.weights import StateDictReader
from keras_bidalle.metrics.extractors.fid_inception import (
    CLASSES,
    DIMENSIONS,
    convolution_names,
)

_COUNTERS = "num_batches_tracked"
# Of each convolution's normalization: our name, torch's, the graph's.
_NORMS = (
    ("beta", "bias", "beta"),
    ("mean", "running_mean", "moving_mean"),
    ("variance", "running_var", "moving_variance"),
)


def fid_inception_arrays(
    path: str | os.PathLike[str],
) -> dict[str, np.ndarray]:
    """Reads FID's Inception from either published file.

    Args:
        path: str or `pathlib.Path`: `classify_image_graph_def.pb` of
            inception-2015-12-05.tgz (the graph that defined FID), or
            `pt_inception-2015-12-05-6726825d.pth` or
            `weights-inception-2015-12-05-6726825d.pth` (made from it).

    Returns:
        dict of arrays, as `metrics.extractors.fid_inception` takes it.

    Raises:
        ValueError: when it is damaged, or holds another network, such as
            torchvision's.
        FileNotFoundError: when there is no such file.
    """
    path = pathlib.Path(path)
    if path.suffix == ".pb":
        return _of_graph(read_constants(path))
    return fid_inception_of_state_dict(read_state_dict(path))


def fid_inception_of_state_dict(
    state_dict: dict[str, np.ndarray],
) -> dict[str, np.ndarray]:
    """`fid_inception_arrays` of torch's names."""
    reader = StateDictReader(state_dict, "FID's Inception")
    arrays: dict[str, np.ndarray] = {}
    for name in convolution_names():
        kernel = reader.array(f"{name}.conv.weight", (None,) * 4)
        arrays[f"{name}/kernel"] = kernel.transpose(2, 3, 1, 0)
        _check_scale(name, reader.array(f"{name}.bn.weight", (None,)))
        for ours, theirs, _ in _NORMS:
            arrays[f"{name}/{ours}"] = reader.array(
                f"{name}.bn.{theirs}", (None,)
            )
    arrays["fc/kernel"] = reader.array("fc.weight", (CLASSES, DIMENSIONS)).T
    arrays["fc/bias"] = reader.array("fc.bias", (CLASSES,))
    return arrays


def _of_graph(constants: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    reader = StateDictReader(constants, "FID's Inception")
    arrays: dict[str, np.ndarray] = {}
    for name in convolution_names():
        node = _node_of(name)
        arrays[f"{name}/kernel"] = reader.array(
            f"{node}/conv2d_params", (None,) * 4
        )
        _check_scale(name, reader.array(f"{node}/batchnorm/gamma", (None,)))
        for ours, _, theirs in _NORMS:
            arrays[f"{name}/{ours}"] = reader.array(
                f"{node}/batchnorm/{theirs}", (None,)
            )
    arrays["fc/kernel"] = reader.array("softmax/weights", (DIMENSIONS, CLASSES))
    arrays["fc/bias"] = reader.array("softmax/biases", (CLASSES,))
    return arrays


# In which tower of the graph's block a branch lies, and its place there.
_TOWERS: dict[str, tuple[str, ...]] = {
    "5": ("branch5x5", "branch3x3dbl", "branch_pool"),
    "6a": ("branch3x3dbl",),
    "6": ("branch7x7", "branch7x7dbl", "branch_pool"),
    "7a": ("branch3x3", "branch7x7x3"),
    "7": ("branch3x3", "branch3x3dbl", "branch_pool"),
}
_STEM = ("1a_3x3", "2a_3x3", "2b_3x3", "3b_1x1", "4a_3x3")
_BLOCKS = ("5b", "5c", "5d", "6a", "6b", "6c", "6d", "6e", "7a", "7b", "7c")


def _numbered(name: str, number: int) -> str:
    return f"{name}_{number}" if number else name


def _node_of(name: str) -> str:
    """The graph's name of a convolution, given torch's."""
    if name.startswith("Conv2d_"):
        return _numbered("conv", _STEM.index(name.removeprefix("Conv2d_")))
    block, _, branch = name.removeprefix("Mixed_").partition(".")
    mixed = _numbered("mixed", _BLOCKS.index(block))
    towers = _TOWERS.get(block) or _TOWERS[block[0]]
    stem, _, place = branch.partition("_")
    if branch == "branch_pool":
        stem, place = branch, "1"
    if stem not in towers or not place:
        return f"{mixed}/conv"
    tower = _numbered("tower", towers.index(stem))
    if place[-1] in "ab":
        # The two halves of a split convolution: a block in the tower.
        return (
            f"{mixed}/{tower}/mixed/{_numbered('conv', 'ab'.index(place[-1]))}"
        )
    return f"{mixed}/{tower}/{_numbered('conv', int(place) - 1)}"


def _check_scale(name: str, scale: np.ndarray) -> None:
    """The graph has no scale; a file that has one is another network."""
    if not (scale == 1.0).all():
        raise ValueError(
            f"FID's Inception must have a scale of 1 in {name!r}. Received: "
            f"{scale.min():g} to {scale.max():g}, of another network"
        )


def efficientnet_lite0_arrays(
    path: str | os.PathLike[str],
) -> dict[str, np.ndarray]:
    """Reads EfficientNet-Lite0 from its published torch file.

    Args:
        path: str or `pathlib.Path` of `efficientnet-lite0-57934424.pth`.

    Returns:
        dict of arrays, as `metrics.extractors.efficientnet_lite0` takes it.

    Raises:
        ValueError: when it is damaged.
        FileNotFoundError: when there is no such file.
    """
    norms = {
        "running_mean": "moving_mean",
        "running_var": "moving_variance",
        "weight": "gamma",
        "bias": "beta",
    }
    arrays: dict[str, Any] = {}
    for name, array in read_state_dict(path).items():
        layer, _, kind = name.rpartition(".")
        # Keras and torch allow neither dots nor slashes in a layer's name.
        layer = layer.replace(".", "-")
        if kind == _COUNTERS:
            continue
        if array.ndim == 4:
            # Depthwise kernels of torch have one input channel.
            depthwise = layer.endswith("_depthwise_conv")
            order = (2, 3, 0, 1) if depthwise else (2, 3, 1, 0)
            arrays[f"{layer}/kernel"] = array.transpose(order)
        elif array.ndim == 2:
            arrays[f"{layer}/kernel"] = array.T
        elif layer == "_fc":
            arrays[f"{layer}/bias"] = array
        else:
            arrays[f"{layer}/{norms.get(kind, kind)}"] = array
    return arrays
