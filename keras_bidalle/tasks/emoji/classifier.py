"""The judge of drawn emoji: reads concept, tone, gender, color and hour."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import layers

from keras_bidalle.tasks.emoji.attributes import ATTRIBUTES, Attributes
from keras_bidalle.tasks.judge import Judge, shifted
from keras_bidalle.validation import as_model_images

HEADS = ATTRIBUTES[1:]
# An hour is read by its two parts: of a clock that shows another, both may
# be known.
_OUTPUTS = (*HEADS, "minute")
_SHIFT = 3
# Few emoji have a color or an hour; so many of a batch do.
_RARE = 1 / 8


@keras.saving.register_keras_serializable(package="keras_bidalle")
class EmojiClassifier(Judge):
    """A small convolutional network with a head for each attribute.

    Args:
        classes: dict from each of `HEADS`, and "minute", to the list of its
            values, str or `None` for emoji that have none; those of "hour"
            are hours without minutes.
        size: int, the side of pictures, a multiple of 8.
        width: int, channels of the first convolution.
        seed: int, of weights and dropout.

    Call arguments:
        images: float32 (B, size, size, 3) in [-1, 1].

    Returns:
        dict of float32 logits (B, classes) by head.
    """

    heads = _OUTPUTS

    def __init__(
        self,
        classes: dict[str, list[str | None]],
        size: int = 64,
        width: int = 32,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        states = np.random.SeedSequence(seed).generate_state(11)
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
            for name in _OUTPUTS
        }
        super().__init__(inputs=images, outputs=outputs, **kwargs)
        self.classes = {name: list(classes[name]) for name in _OUTPUTS}
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
        rows = self.read(images, batch_size)
        return [self._attributes(row) for row in rows.tolist()]

    def _attributes(self, row):
        found = {
            name: self.classes[name][index]
            for name, index in zip(_OUTPUTS, row, strict=True)
        }
        minute = found.pop("minute")
        if found["hour"] is not None:
            found["hour"] += f" {minute or '00'}"
        return Attributes("", **found)


def train_classifier(
    images: np.ndarray,
    truths: Sequence[Attributes],
    seed: int = 0,
    steps: int = 2000,
    batch_size: int = 64,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> EmojiClassifier:
    """Trains an `EmojiClassifier`, on pictures shifted by a few pixels.

    An eighth of a batch are emoji that have a color or an hour, if any do.

    Args:
        images: uint8 array (N, H, W, 3).
        truths: sequence of N `Attributes`.
        seed: int, of weights, order and shifts.
        steps: int, optimizer steps.
        batch_size: int.
        callbacks: as for `fit`.
    """
    columns = {n: [getattr(t, n) for t in truths] for n in HEADS}
    times = [(hour or "").split() for hour in columns["hour"]]
    columns["hour"] = [time[0] if time else None for time in times]
    columns["minute"] = [time[1] if time else None for time in times]
    rare = np.flatnonzero([bool(t.color or t.hour) for t in truths])
    of_rare = round(_RARE * batch_size) if len(rare) else 0
    classes = {
        name: sorted({*values}, key=lambda value: value or "")
        for name, values in columns.items()
    }
    labels = {}
    for name, values in columns.items():
        place = {value: i for i, value in enumerate(classes[name])}
        labels[name] = np.array([place[v] for v in values], "int32")
    classifier = EmojiClassifier(classes, size=images.shape[1], seed=seed)

    def make_batch(number):
        rng = np.random.default_rng((seed, number))
        rows = rng.integers(len(images), size=batch_size)
        if of_rare:
            rows[:of_rare] = rng.choice(rare, of_rare)
        moved = shifted(images[rows], _SHIFT, rng, mode="edge")
        moved = moved.astype("float32") / 127.5 - 1.0
        return moved, {name: of[rows] for name, of in labels.items()}

    classifier.learn(
        make_batch,
        steps,
        learning_rate=2e-3,
        weight_decay=2e-2,
        callbacks=callbacks,
    )
    return classifier
