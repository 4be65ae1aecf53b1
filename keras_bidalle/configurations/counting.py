"""Counts a model's weights without making them."""

import math
import random
from collections.abc import Mapping
from typing import Any

from keras_bidalle.backend.keras_internals import variables_without_values
from keras_bidalle.configurations.building import build


def count_params(cls: Any, arguments: Mapping[str, Any]) -> int:
    """The number of weights that a model would have.

    The model is made, but none of its weights: 12 billion are counted in
    seconds and a few megabytes, on every backend.

    Args:
        cls: class of a model that makes its weights in its constructor.
        arguments: dict, the constructor's arguments, as `build` takes them.

    Returns:
        int, as `count_params()` of the model itself: trained weights and
        others, without the state of metrics and random numbers.

    Raises:
        ValueError: if the constructor makes no weights, or refuses the
            arguments.

    Example:

    ```python
    count_params(*configurations.generator("dalle-12b"))
    ```
    """
    # New weights would draw their seeds: counting changes no later ones.
    state = random.getstate()
    try:
        with variables_without_values():
            model = build(cls, arguments)
            count = sum(math.prod(weight.shape) for weight in model.weights)
    finally:
        random.setstate(state)
    if not count:
        raise ValueError(
            "`cls` must make its weights in its constructor. "
            f"Received: cls={cls.__name__}, which made none"
        )
    return count
