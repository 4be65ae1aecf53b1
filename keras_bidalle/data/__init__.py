"""Data: the items, the MNIST64 task, and streams of batches for `fit`."""

from keras_bidalle.data.digits import Items, load_items
from keras_bidalle.data.mnist64 import (
    MNIST64,
    MNIST64Batch,
    held_out_combinations,
    item_crops,
)
from keras_bidalle.data.streams import BatchStream, as_dataset

__all__ = [
    "BatchStream",
    "Items",
    "MNIST64",
    "MNIST64Batch",
    "as_dataset",
    "held_out_combinations",
    "item_crops",
    "load_items",
]
