"""EfficientNet-Lite0, a small classifier of ImageNet.

Its weights come in a package (`keras_bidalle[evaluate]`), so figures with
real features need no network and no account.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import keras
import numpy as np
from keras import layers

from keras_bidalle.metrics.extractors.extractor import Extractor
from keras_bidalle.metrics.extractors.pretrained import pretrained

SIZE, DIMENSIONS, CLASSES = 224, 1280, 1000
# Tan and Le, arXiv 1905.11946, Table 1; the Lite models have no
# squeeze-and-excitation.
# (repeats, kernel, stride, expansion, width)
_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
_STEM = 32


def lite0_network() -> keras.Model:
    """The network, with random weights.

    Layers are named as in the published torch file, dots as hyphens.

    Returns:
        `keras.Model` from float32 (B, 224, 224, 3) to features (B, 1280) and
        logits (B, 1000).
    """

    def normed(x: Any, name: str, active: bool = True) -> Any:
        x = layers.BatchNormalization(epsilon=1e-3, name=name)(x)
        return layers.ReLU(max_value=6.0)(x) if active else x

    def convolution(x: Any, width: int, name: str, **kwargs: Any) -> Any:
        return layers.Conv2D(
            width, padding="same", use_bias=False, name=name, **kwargs
        )(x)

    image = keras.Input((SIZE, SIZE, 3))
    x = convolution(image, _STEM, "_conv_stem", kernel_size=3, strides=2)
    x = normed(x, "_bn0")
    number, channels = 0, _STEM
    for repeats, kernel, stride, expansion, width in _STAGES:
        for repeat in range(repeats):
            name, block = f"_blocks-{number}-", x
            if expansion > 1:
                wide = channels * expansion
                x = convolution(x, wide, f"{name}_expand_conv", kernel_size=1)
                x = normed(x, f"{name}_bn0")
            x = layers.DepthwiseConv2D(
                kernel,
                strides=1 if repeat else stride,
                padding="same",
                use_bias=False,
                name=f"{name}_depthwise_conv",
            )(x)
            x = normed(x, f"{name}_bn1")
            x = convolution(x, width, f"{name}_project_conv", kernel_size=1)
            x = normed(x, f"{name}_bn2", active=False)
            if repeat:
                x = layers.Add()([x, block])
            number, channels = number + 1, width
    x = convolution(x, DIMENSIONS, "_conv_head", kernel_size=1)
    features = layers.GlobalAveragePooling2D()(normed(x, "_bn1"))
    logits = layers.Dense(CLASSES, name="_fc")(features)
    return keras.Model(image, [features, logits], name="efficientnet_lite0")


def lite0_variables(network: keras.Model) -> Iterator[tuple[str, Any]]:
    """Yields each array's name in a weights file and its variable."""
    for layer in network.layers:
        for variable in layer.weights:
            yield f"{layer.name}/{variable.name}", variable


def efficientnet_lite0(
    arrays: Mapping[str, np.ndarray], resize: str = "clean", weights: str = ""
) -> Extractor:
    """The extractor of `frechet_efficientnet_lite0` and its siblings.

    Args:
        arrays: dict of the weights, as
            `converters.efficientnet_lite0_arrays` reads them.
        resize: str, the rule of scaling to 224 x 224.
        weights: str, where the arrays are from.

    Gives an `Extractor` of 1280 features and 1000 classes, and raises what
    `fid_inception` does.
    """
    network = lite0_network()
    return pretrained(
        network,
        lite0_variables(network),
        arrays,
        resize=resize,
        # As the weights were trained.
        offset=127.0,
        divisor=128.0,
        weights=weights,
    )
