"""What both the reference programs and ours are measured on, from seeds."""

import numpy as np

from keras_bidalle.metrics.extractors.fid_inception import convolution_names

CANDIDATES = (
    "A man riding a wave on top of a surfboard.",
    "two dogs play with a frisbee in the grass",
    "a red-and-white bus, parked at the street's end",
    "people don't wait for a train",
    "a cat",
    "the the the the the the the",
)
REFERENCES = (
    (
        "A man rides a wave on a surfboard.",
        "a surfer on top of a wave",
        "Man surfing a big wave in the ocean.",
    ),
    (
        "Two dogs are playing frisbee in the grass.",
        "a pair of dogs chase a frisbee",
    ),
    (
        "A red and white bus is parked at the end of a street.",
        "a bus parked on the street's side, next to a tree",
    ),
    ("People can't board the train.", "some people wait for a train"),
    ("A cat sleeps on a couch in front of a window.",),
    ("the cat is on the mat", "there is a cat on the mat"),
)


def features(seed, count, size=24, shift=0.0):
    rng = np.random.default_rng(seed)
    mixed = rng.normal(size=(size, size)) / size**0.5
    x = rng.normal(size=(count, size)) @ mixed
    return (np.maximum(x, 0) + shift).astype("float32")


def logits(seed=3, count=205, classes=12):
    rng = np.random.default_rng(seed)
    return 2 * rng.normal(size=(count, classes)).astype("float32")


def pictures(seed=4, count=2, height=24, width=40):
    """uint8, smooth with noise, so that rules of resizing differ."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    waves = np.sin(x / 3.0) + np.cos(y / 5.0)
    base = 128 + 50 * waves[None, :, :, None]
    noise = rng.normal(0, 25, (count, height, width, 3))
    return np.clip(base + noise, 0, 255).astype("uint8")


def inception_state_dict(shapes, seed=5):
    """Random weights in torch's names, that let activations neither die nor
    grow.

    Args:
        shapes: dict from name to shape, of a convolution's kernel in torch's
            layout.
    """
    rng = np.random.default_rng(seed)
    weights = {}
    for name in convolution_names():
        kernel = shapes[name]
        width, fan_in = kernel[0], int(np.prod(kernel[1:]))
        weights |= {
            f"{name}.conv.weight": rng.normal(
                0, (2 / fan_in) ** 0.5, kernel
            ).astype("float32"),
            f"{name}.bn.weight": np.ones(width, "float32"),
            f"{name}.bn.bias": rng.normal(0, 0.1, width).astype("float32"),
            f"{name}.bn.running_mean": rng.normal(0, 0.1, width).astype(
                "float32"
            ),
            f"{name}.bn.running_var": rng.uniform(0.5, 1.5, width).astype(
                "float32"
            ),
        }
    weights["fc.weight"] = rng.normal(0, 0.02, (1008, 2048)).astype("float32")
    weights["fc.bias"] = rng.normal(0, 0.1, 1008).astype("float32")
    return weights
