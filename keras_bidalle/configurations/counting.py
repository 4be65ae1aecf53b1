"""Counts a model's weights without making them."""

import math

import keras
from keras.src.backend.common import global_state

from keras_bidalle.configurations.building import build

# Where Keras keeps variables that it is still to give values.
_UNINITIALIZED = "uninitialized_variables"


def count_params(cls, arguments):
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
    waiting = list(global_state.get_global_attribute(_UNINITIALIZED) or [])
    try:
        # Variables that are made in here get their values later; and those
        # that are taken off Keras' list, never.
        with keras.StatelessScope(initialize_variables=False):
            model = build(cls, arguments)
            count = sum(math.prod(weight.shape) for weight in model.weights)
    finally:
        global_state.set_global_attribute(_UNINITIALIZED, waiting)
    if not count:
        raise ValueError(
            "`cls` must make its weights in its constructor. "
            f"Received: cls={cls.__name__}, which made none"
        )
    return count
