"""Gathers the published weights of LPIPS in one file."""

import os
import re
from typing import Any

import numpy as np

from keras_bidalle.converters.state_dict import read_state_dict
from keras_bidalle.converters.weights import StateDictReader
from keras_bidalle.files import atomic_path
from keras_bidalle.losses.perceptual import VGG16_BLOCKS, lpips_shapes

# Where torchvision's `features` has its convolutions; the other positions
# are activations and poolings.
_POSITIONS = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)


def convert_lpips(checkpoints: Any, path: str | os.PathLike[str]) -> Any:
    """Writes the weights file of `keras_bidalle.losses.LPIPS`.

    Args:
        checkpoints: list of paths of torch files that together hold VGG16
            and the linear weights: torchvision's `vgg16-397923af.pth` and
            the `vgg.pth` of LPIPS; or one checkpoint of a VQGAN that was
            trained with LPIPS, which holds both.
        path: str or `pathlib.Path`, the `.npz` file to write.

    Raises:
        ValueError: when a file cannot be read or a weight is missing.

    Example:

    ```python
    convert_lpips(["vgg16-397923af.pth", "vgg.pth"], "lpips-vgg16.npz")
    lpips = keras_bidalle.losses.LPIPS("lpips-vgg16.npz")
    ```
    """
    found = {}
    for checkpoint in checkpoints:
        for name, array in read_state_dict(checkpoint).items():
            found[_known_as(name)] = array
    arrays = lpips_arrays(found)
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, **arrays)


def lpips_arrays(state_dict):
    """Returns the arrays of a weights file by name.

    Args:
        state_dict: dict with `features.<n>.weight` and `.bias` of VGG16 and
            `lin<n>.model.1.weight` of LPIPS.
    """
    reader = StateDictReader(state_dict, "LPIPS")
    shapes = lpips_shapes()
    arrays = {}
    names = [name for block in VGG16_BLOCKS for name in block]
    for name, position in zip(names, _POSITIONS, strict=True):
        height, width, inputs, outputs = shapes[f"{name}/kernel"]
        kernel = reader.array(
            f"features.{position}.weight", (outputs, inputs, height, width)
        )
        arrays[f"{name}/kernel"] = kernel.transpose(2, 3, 1, 0)
        arrays[f"{name}/bias"] = reader.array(
            f"features.{position}.bias", (outputs,)
        )
    for number in range(1, len(VGG16_BLOCKS) + 1):
        (width,) = shapes[f"linear{number}/kernel"]
        weight = reader.array(
            f"lin{number - 1}.model.1.weight", (1, width, 1, 1)
        )
        arrays[f"linear{number}/kernel"] = weight.reshape(width)
    return arrays


def _known_as(name):
    """One name for a weight, whichever program wrote it."""
    name = name.removeprefix("loss.").removeprefix("perceptual_loss.")
    return re.sub(r"^net\.slice\d\.", "features.", name)
