"""The judge of drawn emoji: reads concept, tone, gender, color and hour."""

import functools
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from keras_bidalle.backend.compiled import compiled, in_batches
from keras_bidalle.data.streams import as_dataset
from keras_bidalle.tasks.emoji.attributes import ATTRIBUTES, Attributes
from keras_bidalle.validation import as_model_images

HEADS = ATTRIBUTES[1:]
_SHIFT = 3


@keras.saving.register_keras_serializable(package="keras_bidalle")
class EmojiClassifier(keras.Model):
    """A small convolutional network with a head for each attribute.

    Args:
        classes: dict from each of `HEADS` to the list of its values, str or
            `None` for emoji that have none.
        size: int, the side of pictures, a multiple of 8.
        width: int, channels of the first convolution.
        seed: int, of weights and dropout.

    Call arguments:
        images: float32 (B, size, size, 3) in [-1, 1].

    Returns:
        dict of float32 logits (B, classes) by head.
    """

    def __init__(
        self,
        classes: dict[str, list[str | None]],
        size: int = 64,
        width: int = 32,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        states = np.random.SeedSequence(seed).generate_state(10)
        seeds = (states // 2).tolist()

        def initializer():
            return keras.initializers.HeNormal(seed=seeds.pop())

        images = keras.Input((size, size, 3), name="images")
        x = images
        for factor, kernel in ((1, 5), (2, 3), (4, 3)):
            x = layers.Conv2D(
                factor * width,
                kernel,
                strides=2,
                padding="same",
                use_bias=False,
                kernel_initializer=initializer(),
            )(x)
            x = layers.BatchNormalization(momentum=0.9)(x)
            x = layers.ReLU()(x)
        x = layers.Flatten()(x)
        x = layers.Dense(8 * width, kernel_initializer=initializer())(x)
        x = layers.BatchNormalization(momentum=0.9)(x)
        x = layers.ReLU()(x)
        x = layers.Dropout(0.2, seed=seeds.pop())(x)
        outputs = {
            name: layers.Dense(
                len(classes[name]),
                kernel_initializer=initializer(),
                dtype="float32",
                name=name,
            )(x)
            for name in HEADS
        }
        super().__init__(inputs=images, outputs=outputs, **kwargs)
        self.classes = {name: list(classes[name]) for name in HEADS}
        self.size = size
        self.width = width
        self.seed = seed

    def classify(self, images: Any, batch_size: int = 256) -> list[Attributes]:
        """Reads pictures.

        Args:
            images: array (B, size, size, 3), uint8 or float in [-1, 1].
            batch_size: int.

        Returns:
            list of B `Attributes`, all without a name.
        """
        images = as_model_images(images, (self.size, self.size, 3))
        empty = np.zeros((0, len(HEADS)), "int32")
        rows = in_batches(self._read, images, batch_size, np.asarray, empty)
        return [
            Attributes(
                "",
                **{
                    name: self.classes[name][index]
                    for name, index in zip(HEADS, row, strict=True)
                },
            )
            for row in rows.tolist()
        ]

    @functools.cached_property
    def _read(self):
        return compiled(self._winners, [self])

    def _winners(self, images):
        logits = self(images, training=False)
        winners = [ops.argmax(logits[name], -1) for name in HEADS]
        return ops.cast(ops.stack(winners, axis=-1), "int32")

    def get_config(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "classes": self.classes,
            "size": self.size,
            "width": self.width,
            "seed": self.seed,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "EmojiClassifier":
        return cls(**config)


def train_classifier(
    images: np.ndarray,
    truths: Sequence[Attributes],
    seed: int = 0,
    steps: int = 2000,
    batch_size: int = 64,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> EmojiClassifier:
    """Trains an `EmojiClassifier`, on pictures shifted by a few pixels.

    Args:
        images: uint8 array (N, H, W, 3).
        truths: sequence of N `Attributes`.
        seed: int, of weights, order and shifts.
        steps: int, optimizer steps.
        batch_size: int.
        callbacks: as for `fit`.
    """
    columns = {n: [getattr(t, n) for t in truths] for n in HEADS}
    classes = {
        name: sorted({*values}, key=lambda value: value or "")
        for name, values in columns.items()
    }
    labels = {}
    for name, values in columns.items():
        place = {value: i for i, value in enumerate(classes[name])}
        labels[name] = np.array([place[v] for v in values], "int32")
    classifier = EmojiClassifier(classes, size=images.shape[1], seed=seed)
    classifier.compile(
        keras.optimizers.AdamW(
            keras.optimizers.schedules.CosineDecay(
                0.0, steps, warmup_target=2e-3, warmup_steps=steps // 10
            ),
            weight_decay=2e-2,
        ),
        loss={
            name: keras.losses.SparseCategoricalCrossentropy(from_logits=True)
            for name in HEADS
        },
    )

    def make_batch(number):
        rng = np.random.default_rng((seed, number))
        rows = rng.integers(len(images), size=batch_size)
        pixels = np.pad(
            images[rows],
            ((0, 0), (_SHIFT, _SHIFT), (_SHIFT, _SHIFT), (0, 0)),
            mode="edge",
        )
        windows = np.lib.stride_tricks.sliding_window_view(
            pixels, images.shape[1:3], axis=(1, 2)
        )
        top, left = rng.integers(windows.shape[1], size=(2, batch_size))
        cut = windows[np.arange(batch_size), top, left]
        cut = np.moveaxis(cut, 1, -1).astype("float32") / 127.5 - 1.0
        return cut, {name: of[rows] for name, of in labels.items()}

    classifier.fit(
        as_dataset(make_batch),
        steps_per_epoch=steps,
        shuffle=False,
        verbose=0,
        callbacks=list(callbacks),
    )
    return classifier
