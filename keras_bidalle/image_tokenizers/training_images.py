"""What image tokenizers train on: uint8 images, or float in [-1, 1].

What is checked must cost no step and read nothing ahead: of arrays and
tensors all, once before training; of streams the first batches, on their way
to the step; of what else Keras takes the first calls, where tensors have
values (on PyTorch).
"""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from keras import ops

from keras_bidalle import validation
from keras_bidalle.backend.checked_streams import (
    checked_batches,
    checked_tf_dataset,
    first_of,
    is_tf_dataset,
    told_refusals,
)
from keras_bidalle.backend.current import has_value

# Batches of a stream whose values are looked at: images in [0, 255] are so
# from the first on.
FIRST_BATCHES = 4


def as_float_images(images: Any) -> Any:
    """Casts uint8 or float images to float32 in [-1, 1], inside a graph."""
    if validation.check_image_dtype(images.dtype) == "uint8":
        return ops.cast(images, "float32") / 127.5 - 1.0
    return ops.cast(images, "float32")


class ImageChecks:
    """Checks what a tokenizer is given: with `channels`, sides by `factor`.

    The model hands its calls to `check_call`, and runs Keras' loops by `run`.
    """

    def __init__(self, factor: int, channels: int):
        self._sizes = factor, channels
        self._calls: _Images | None = None

    def run(self, loop: Callable, x: Any, *args: Any, **kwargs: Any) -> Any:
        """Runs `fit`, `evaluate` or `predict` on data that are checked."""
        if self._calls is not None:
            # `evaluate` within `fit`, which has checked its data.
            return loop(x, *args, **kwargs)
        name = "validation_data"
        if kwargs.get(name) is not None:
            validation_images = _Images(*self._sizes, name)
            kwargs[name] = validation_images.checked(kwargs[name])
        self._calls = _Images(*self._sizes, "x")
        try:
            with told_refusals(_tell_range):
                return loop(self._calls.checked(x), *args, **kwargs)
        finally:
            self._calls = None

    def check_call(self, images: Any) -> None:
        """Checks what the model is called on, if it has values yet."""
        if not has_value(images):
            return
        if self._calls is None:
            _Images(*self._sizes, "images").check(images)
        else:
            self._calls.check_batch(images)


class _Images:
    """Checks the images of one argument, which errors call `name`."""

    def __init__(self, factor: int, channels: int, name: str):
        self.factor = factor
        self.channels = channels
        self.name = name
        self._left = FIRST_BATCHES

    def checked(self, data: Any) -> Any:
        """The data to give to Keras: `data`, or a stream that is checked."""
        stream = checked_batches(data, self.check_batch)
        if stream is not None:
            return stream
        if is_tf_dataset(data):
            return self._checked_tf_dataset(data)
        self.check(data)
        return data

    def check(self, images: Any) -> None:
        """Checks an array of images, or what has one first."""
        images = first_of(images)
        if not hasattr(images, "dtype") or not hasattr(images, "shape"):
            return  # Not images yet: a stream of another form.
        dtype = self.check_type(images.dtype, images.shape)
        if dtype == "uint8" or 0 in tuple(images.shape):
            return
        library = np if isinstance(images, np.ndarray) else ops
        if not library.isfinite(library.sum(images)):
            missing = library.isnan(images)
            if library.any(missing):
                warnings.warn(
                    f"`{self.name}` has values that are not numbers: their "
                    "steps are lost in half precision, the model else.",
                    stacklevel=3,
                )
                images = library.where(missing, 0.0, images)
        low, high = library.min(images), library.max(images)
        validation.check_image_range(float(low), float(high), self.name)

    def check_batch(self, batch: Any) -> None:
        """Checks a batch of a stream, if it is one of the first."""
        if self._left:
            self._left -= 1
            self.check(batch)

    def check_type(self, dtype: Any, shape: Any) -> str:
        """Checks all but the values of images; gives the dtype's name."""
        dtype = validation.check_image_dtype(dtype, self.name)
        shape = tuple(shape)
        sides = [side for side in shape[1:3] if side is not None]
        if (
            len(shape) != 4
            or shape[3] not in (None, self.channels)
            or any(side % self.factor for side in sides)
        ):
            raise ValueError(
                f"`{self.name}` must be images (batch, height, width, "
                f"{self.channels}) with sides that are multiples of "
                f"{self.factor}. Received: shape={shape}"
            )
        return dtype

    def _checked_tf_dataset(self, dataset: Any) -> Any:
        spec = first_of(dataset.element_spec)
        dtype = validation.check_image_dtype(spec.dtype, self.name)
        if spec.shape.rank is not None:
            self.check_type(dtype, spec.shape)
        if dtype == "uint8":
            return dataset
        import tensorflow as tf

        def check(number: Any, batch: Any) -> list[tuple[str, Any, Any]]:
            images = tf.cast(first_of(batch), tf.float32)

            def largest() -> Any:
                return tf.reduce_max(tf.abs(images))

            size = tf.cond(number < FIRST_BATCHES, largest, lambda: 0.0)
            # Written so that what is not a number passes, as in `check`.
            passes = tf.logical_not(size > validation.LARGEST_PIXEL)
            return [(self.name, passes, size)]

        return checked_tf_dataset(dataset, check)


def _tell_range(name: str, numbers: list[float]) -> None:
    (size,) = numbers
    validation.check_image_range(-size, size, name)
