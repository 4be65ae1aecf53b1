"""What image tokenizers train on: uint8 images, or float in [-1, 1].

No data are read ahead of training. Arrays and tensors are checked once before
it, streams (a `keras.utils.PyDataset`, a generator, a `tf.data.Dataset`) batch
by batch on their way to the step, and of anything else types and shapes alone.
"""

import collections.abc
import sys
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_bidalle import validation


def as_float_images(images: Any) -> Any:
    """Casts uint8 or float images to float32 in [-1, 1], inside a graph."""
    if validation.check_image_dtype(images.dtype) == "uint8":
        return ops.cast(images, "float32") / 127.5 - 1.0
    return ops.cast(images, "float32")


class TrainingImages:
    """Checks what `fit` and `evaluate` are given.

    Images have so many `channels`, and sides that `factor` divides.
    """

    def __init__(self, factor: int, channels: int):
        self.factor = factor
        self.channels = channels

    def checked(self, data: Any, name: str = "x") -> Any:
        """The data to give to Keras: `data`, or a stream that is checked."""
        if isinstance(data, keras.utils.PyDataset):
            return _CheckedBatches(data, lambda batch: self.check(batch, name))
        if isinstance(data, collections.abc.Generator):
            return self._checked_generator(data, name)
        if _is_tf_dataset(data):
            return self._checked_tf_dataset(data, name)
        self.check(data, name)
        return data

    def check(self, images: Any, name: str) -> None:
        """Checks one array of images, or a batch of a stream."""
        images = _first(images)
        if not hasattr(images, "dtype") or not hasattr(images, "shape"):
            return  # Not images yet: a stream of another form.
        dtype = self.check_type(images.dtype, images.shape, name)
        if dtype == "uint8" or 0 in tuple(images.shape):
            return
        library = np if isinstance(images, np.ndarray) else ops
        low, high = library.min(images), library.max(images)
        validation.check_image_range(float(low), float(high), name)

    def check_type(self, dtype: Any, shape: Any, name: str) -> str:
        """Checks all but the values of images; gives the dtype's name."""
        dtype = validation.check_image_dtype(dtype, name)
        shape = tuple(shape)
        sides = [side for side in shape[1:3] if side is not None]
        if (
            len(shape) != 4
            or shape[3] not in (None, self.channels)
            or any(side % self.factor for side in sides)
        ):
            raise ValueError(
                f"`{name}` must be images (batch, height, width, "
                f"{self.channels}) with sides that are multiples of "
                f"{self.factor}. Received: shape={shape}"
            )
        return dtype

    def _checked_generator(self, batches: Any, name: str) -> Any:
        for batch in batches:
            self.check(batch, name)
            yield batch

    def _checked_tf_dataset(self, dataset: Any, name: str) -> Any:
        spec = _first(dataset.element_spec)
        dtype = validation.check_image_dtype(spec.dtype, name)
        if spec.shape.rank is not None:
            self.check_type(dtype, spec.shape, name)
        if dtype == "uint8":
            return dataset
        import tensorflow as tf

        message = f"Floating `{name}` must be finite and lie in [-1, 1]."

        def check(*batch):
            images = tf.cast(_first(batch), tf.float32)
            in_range = tf.abs(images) <= validation.LARGEST_PIXEL
            known = tf.Assert(tf.reduce_all(in_range), [message])
            with tf.control_dependencies([known]):
                batch = tf.nest.map_structure(tf.identity, batch)
            return batch if len(batch) > 1 else batch[0]

        return dataset.map(check)


class _CheckedBatches(keras.utils.PyDataset):
    """A stream whose batches are checked when they are read."""

    def __init__(self, batches: Any, check: Any):
        super().__init__(
            workers=batches.workers,
            use_multiprocessing=batches.use_multiprocessing,
            max_queue_size=batches.max_queue_size,
        )
        self.batches = batches
        self.check = check

    @property
    def num_batches(self) -> int | None:
        return self.batches.num_batches

    def __getitem__(self, index: int) -> Any:
        batch = self.batches[index]
        self.check(batch)
        return batch

    def on_epoch_begin(self) -> None:
        self.batches.on_epoch_begin()

    def on_epoch_end(self) -> None:
        self.batches.on_epoch_end()


def _first(batch: Any) -> Any:
    """The images of a batch, which may come with more."""
    while isinstance(batch, tuple | list) and len(batch):
        batch = batch[0]
    return batch


def _is_tf_dataset(data: Any) -> bool:
    # Whoever has a `tf.data.Dataset` has imported TensorFlow.
    tf = sys.modules.get("tensorflow")
    return tf is not None and isinstance(data, tf.data.Dataset)
