"""The Inception network of FID: the graph of 2015-12-05, in Keras.

`keras.applications.InceptionV3` has its blocks. Three things differ: the
last block pools by the maximum, the head has 1008 classes, and the weights
are of another training.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import keras
import numpy as np
from keras import layers

from keras_bidalle.metrics.extractors.extractor import Extractor
from keras_bidalle.metrics.extractors.pretrained import pretrained

SIZE, DIMENSIONS, CLASSES = 299, 2048, 1008
# Where the bilinear rules put the range: see the table of `fid_inception`.
_SCALES = {"tf1": (128.0, 128.0), "torch": (127.5, 127.5)}

_A = (
    *("branch1x1", "branch5x5_1", "branch5x5_2"),
    *("branch3x3dbl_1", "branch3x3dbl_2", "branch3x3dbl_3", "branch_pool"),
)
_B = ("branch3x3", "branch3x3dbl_1", "branch3x3dbl_2", "branch3x3dbl_3")
_C = (
    *("branch1x1", "branch7x7_1", "branch7x7_2", "branch7x7_3"),
    *(f"branch7x7dbl_{i}" for i in range(1, 6)),
    "branch_pool",
)
_D = (
    *("branch3x3_1", "branch3x3_2"),
    *(f"branch7x7x3_{i}" for i in range(1, 5)),
)
_E = (
    *("branch1x1", "branch3x3_1", "branch3x3_2a", "branch3x3_2b"),
    *("branch3x3dbl_1", "branch3x3dbl_2", "branch3x3dbl_3a"),
    *("branch3x3dbl_3b", "branch_pool"),
)
_STEM = ("1a_3x3", "2a_3x3", "2b_3x3", "3b_1x1", "4a_3x3")
_BLOCKS = {
    **dict.fromkeys(("5b", "5c", "5d"), _A),
    "6a": _B,
    **dict.fromkeys(("6b", "6c", "6d", "6e"), _C),
    "7a": _D,
    **dict.fromkeys(("7b", "7c"), _E),
}


def convolution_names() -> list[str]:
    """The 94 convolutions by torch's names, in the order of the network."""
    return [
        *(f"Conv2d_{name}" for name in _STEM),
        *(
            f"Mixed_{block}.{branch}"
            for block, branches in _BLOCKS.items()
            for branch in branches
        ),
    ]


def inception_network() -> keras.Model:
    """The network, with random weights.

    Returns:
        `keras.Model` from float32 (B, 299, 299, 3) to features (B, 2048) and
        logits (B, 1008).
    """
    published = keras.applications.InceptionV3(
        include_top=False, weights=None, input_shape=(SIZE, SIZE, 3)
    )
    last = _in_order(published, layers.AveragePooling2D)[-1]

    def changed(layer: Any) -> Any:
        if layer is last:
            return layers.MaxPooling2D(3, 1, "same", name=layer.name)
        return layer.__class__.from_config(layer.get_config())

    body = keras.models.clone_model(published, clone_function=changed)
    features = layers.GlobalAveragePooling2D()(body.output)
    logits = layers.Dense(CLASSES, name="logits")(features)
    return keras.Model(
        body.input, [features, logits], name="inception_2015_12_05"
    )


def inception_variables(network: keras.Model) -> Iterator[tuple[str, Any]]:
    """Yields each array's name in a weights file and its variable."""
    convolutions = _in_order(network, layers.Conv2D)
    norms = _in_order(network, layers.BatchNormalization)
    names = convolution_names()
    for name, convolution, norm in zip(names, convolutions, norms, strict=True):
        yield f"{name}/kernel", convolution.kernel
        yield f"{name}/beta", norm.beta
        yield f"{name}/mean", norm.moving_mean
        yield f"{name}/variance", norm.moving_variance
    head = network.get_layer("logits")
    yield "fc/kernel", head.kernel
    yield "fc/bias", head.bias


def fid_inception(
    arrays: Mapping[str, np.ndarray], resize: str = "tf1", weights: str = ""
) -> Extractor:
    """The extractor of FID, KID and the Inception score.

    | `resize` | as | called |
    |---|---|---|
    | "tf1" | the program that defined FID, torch-fidelity | `fid` |
    | "torch" | pytorch-fid | `frechet_inception_torch` |
    | "clean" | clean-fid | `frechet_inception_clean` |

    Args:
        arrays: dict of the weights, as `converters.fid_inception_arrays`
            reads them from either published file.
        resize: str, the rule of scaling to 299 x 299.
        weights: str, where the arrays are from.

    Returns:
        `Extractor` of 2048 features and 1008 classes.

    Raises:
        ValueError: when an array is missing or has another shape.

    Reference:
        Heusel et al., arXiv 1706.08500; Szegedy et al., arXiv 1512.00567.
    """
    network = inception_network()
    offset, divisor = _SCALES.get(resize, (128.0, 128.0))
    named = "fid" if resize == "tf1" else f"frechet_inception_{resize}"
    return pretrained(
        network,
        inception_variables(network),
        arrays,
        resize=resize,
        offset=offset,
        divisor=divisor,
        weights=weights,
        frechet_name=named,
    )


def _in_order(model: Any, kind: type) -> list[Any]:
    """The layers of a kind, in the order that they were made in."""

    def number(layer: Any) -> int:
        suffix = layer.name.rpartition("_")[2]
        return int(suffix) if suffix.isdigit() else 0

    return sorted(
        (layer for layer in model.layers if type(layer) is kind), key=number
    )
