"""Models of the papers by name, and how many weights they have."""

from keras_bidalle.configurations.counting import count_params
from keras_bidalle.configurations.generators import (
    GENERATORS,
    generator,
    names,
)

__all__ = ["GENERATORS", "count_params", "generator", "names"]
