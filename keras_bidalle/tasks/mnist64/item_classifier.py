"""The judge of generated images: which color and which item a crop shows.

Small and quick to train, so that a recipe trains it on the same items as the
rest, and good enough (99% on real test digits) that what it calls wrong is.
"""

import functools
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from keras_bidalle.tasks.judge import Judge, shifted
from keras_bidalle.tasks.mnist64.digits import ITEM_SIZE, Items
from keras_bidalle.tasks.mnist64.grammar import COLORS
from keras_bidalle.tasks.mnist64.pictures import NUM_ITEMS, RGB
from keras_bidalle.validation import as_model_images


@keras.saving.register_keras_serializable(package="keras_bidalle")
class ItemClassifier(Judge):
    """A convolutional network with a color and an item head.

    The item head sees the brightest channel of each pixel, so it cannot
    depend on the color; the color head sees each channel's share of the
    light, so it cannot depend on the item.

    Args:
        width: int, channels of the first convolution.
        seed: optional int, of the weights and the dropout.

    Call arguments:
        crops: float32 (B, 28, 28, 3) in [-1, 1].

    Returns:
        dict of float32 logits: `"color"` (B, 4) and `"item"` (B, 10).

    Reference:
        The role of the multi-head ResNet-18 of TE-VQGAN,
        https://arxiv.org/abs/2112.00384, section 4.
    """

    heads = ("color", "item")

    def __init__(
        self, width: int = 24, seed: int | None = None, **kwargs: Any
    ) -> None:
        # === Layers ===
        # An initializer with a seed gives the same values each time it is
        # used, so every layer has one of its own.
        # (Halved, because the torch backend keeps seeds in int32.)
        states = np.random.SeedSequence(seed).generate_state(5)
        seeds = (states // 2).tolist()

        def initializer():
            return keras.initializers.GlorotUniform(seed=seeds.pop())

        hidden = self._hidden_layers(width, initializer)
        dropout = layers.Dropout(0.3, seed=seeds.pop())

        def head(name, classes, kernel):
            return layers.Dense(
                classes, kernel_initializer=kernel, dtype="float32", name=name
            )

        item_head = head("item", NUM_ITEMS, initializer())
        color_head = head("color", len(COLORS), "zeros")
        # === Functional Model ===
        crops = keras.Input((ITEM_SIZE, ITEM_SIZE, 3), name="crops")
        light = (crops + 1.0) / 2.0
        x = ops.max(light, axis=-1, keepdims=True)
        for layer in hidden:
            x = layers.BatchNormalization(momentum=0.9)(layer(x))
            x = layers.ReLU()(x)
        x = layers.Flatten()(x)
        item = item_head(dropout(x))
        channels = ops.sum(light, axis=(1, 2))
        total = ops.sum(channels, axis=-1, keepdims=True)
        # Wide apart, so that a linear head is sure of itself early.
        shares = 10.0 * channels / ops.maximum(total, 1e-6)
        outputs = {"color": color_head(shares), "item": item}
        super().__init__(inputs=crops, outputs=outputs, **kwargs)
        # === Config ===
        self.width = width
        self.seed = seed

    def _hidden_layers(self, width, initializer):
        # Strides instead of pooling: the gradient of a maximum pooling takes
        # XLA three times as long on a CPU as all the rest.
        shapes = ((width, 5, 2), (2 * width, 3, 2), (4 * width, 3, 1))
        return [
            layers.Conv2D(
                filters,
                kernel,
                strides=strides,
                padding="same",
                use_bias=False,
                kernel_initializer=initializer(),
            )
            for filters, kernel, strides in shapes
        ]

    def classify(
        self, crops: Any, batch_size: int = 512
    ) -> tuple[np.ndarray, np.ndarray]:
        """Reads crops (B, 28, 28, 3), uint8 or float in [-1, 1].

        Returns:
            Two int arrays (B,): colors in [0, 4) and items in [0, 10).
        """
        crops = as_model_images(crops, (ITEM_SIZE, ITEM_SIZE, 3), "crops")
        found = self.read(crops, batch_size)
        return found[:, 0], found[:, 1]


@keras.saving.register_keras_serializable(package="keras_bidalle")
class DenseItemClassifier(ItemClassifier):
    """A second judge: fully connected, where the first one convolves.

    What only one of two architectures sees may be its own weakness.

    Args:
        width: int, units of each of the two hidden layers.
        seed: optional int, of the weights and the dropout.
    """

    def __init__(
        self, width: int = 800, seed: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(width, seed, **kwargs)

    def _hidden_layers(self, width, initializer):
        shape = (ITEM_SIZE, ITEM_SIZE)
        first, second = (
            layers.Conv2D(
                width,
                kernel,
                use_bias=False,
                kernel_initializer=initializer(),
            )
            # Over the whole item, and over the one place that is left.
            for kernel in (shape, 1)
        )
        return [first, second]


def train_item_classifier(
    items: Items,
    seed: int = 0,
    steps: int = 1500,
    batch_size: int = 128,
    verbose: Any = 0,
    callbacks: Any = (),
    kind: type[ItemClassifier] | None = None,
) -> ItemClassifier:
    """Trains an `ItemClassifier` on the train items in random colors.

    Items are shifted by up to two pixels and darkened a little at random, as
    generated ones may be.

    Args:
        items: `Items`.
        seed: int, of the weights, the order, colors and shifts.
        steps: int, optimizer steps.
        batch_size: int.
        verbose, callbacks: as for `fit`.
        kind: `ItemClassifier` or a subclass, of another architecture.
    """
    classifier = (kind or ItemClassifier)(seed=seed)
    classifier.learn(
        functools.partial(_batch, items, batch_size, seed),
        steps,
        learning_rate=4e-3,
        weight_decay=1e-2,
        verbose=verbose,
        callbacks=callbacks,
        metrics={"color": ["accuracy"], "item": ["accuracy"]},
    )
    return classifier


def _batch(items, size, seed, number):
    """Shifted, colored train items and their labels, for `fit`."""
    rng = np.random.default_rng((seed, number))
    rows = rng.integers(len(items.train_labels), size=size)
    colors = rng.integers(len(COLORS), size=size)
    crops = shifted(items.train_images[rows], 2, rng)
    light = rng.uniform(0.7, 1.0, (size, 1)) * RGB[colors] / 255.0
    crops = crops[..., None] * light[:, None, None].astype("float32")
    labels = items.train_labels[rows]
    return crops * 2.0 - 1.0, {"color": colors.astype("int32"), "item": labels}


def item_classifier_accuracy(
    classifier: ItemClassifier, items: Items, seed: int = 0
) -> dict[str, float]:
    """Accuracy on the test items, each in one random color.

    Returns:
        dict of `"accuracy"` (both right), `"color_accuracy"`,
        `"item_accuracy"`.
    """
    rng = np.random.default_rng(seed)
    colors = rng.integers(len(COLORS), size=len(items.test_labels))
    crops = items.test_images[..., None] * RGB[colors][:, None, None]
    seen_colors, seen_items = classifier.classify(crops)
    color, item = seen_colors == colors, seen_items == items.test_labels
    right = {"accuracy": color & item, "color_accuracy": color}
    right["item_accuracy"] = item
    return {name: float(hits.mean()) for name, hits in right.items()}
