"""Extractors that are classifiers of others, with the weights of a file."""

from collections.abc import Iterator, Mapping
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_bidalle.metrics.extractors.extractor import Extractor


def pretrained(
    network: keras.Model,
    variables: Iterator[tuple[str, Any]],
    arrays: Mapping[str, np.ndarray],
    **kwargs: Any,
) -> Extractor:
    """The extractor of a network from images to features and logits.

    Args:
        network: `keras.Model`.
        variables: its variables, each with its array's name.
        arrays: dict of the weights.
        **kwargs: the other arguments of `Extractor`; its name is that of the
            network.

    Raises:
        ValueError: when an array is missing or has another shape.
    """
    for name, variable in variables:
        shape = np.shape(arrays[name]) if name in arrays else None
        if shape != tuple(variable.shape):
            raise ValueError(
                f"The weights of {network.name} must hold {name!r} of shape "
                f"{tuple(variable.shape)}. Received: {shape or 'none'}"
            )
        variable.assign(arrays[name])
    features, logits = network.output_shape
    return Extractor(
        network.name,
        function=lambda x: ops.concatenate(network(x, training=False), -1),
        layers=[network],
        dimensions=features[-1],
        classes=logits[-1],
        size=network.input_shape[1],
        **kwargs,
    )
