"""Data: the items, the MNIST64 task, and streams of batches for `fit`."""

from keras_bidalle.data.code_cache import cached_codes, fingerprint
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
    "cached_codes",
    "fingerprint",
    "held_out_combinations",
    "item_crops",
    "load_items",
]
