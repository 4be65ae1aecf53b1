"""How tables and classifiers begin."""

import keras


def normal_weight(
    layer: keras.layers.Layer, name: str, *shape: int, stddev: float = 0.02
) -> keras.Variable:
    """A new weight of a layer, drawn from a normal distribution."""
    normal = keras.initializers.RandomNormal(stddev=stddev)
    return layer.add_weight(shape=shape, initializer=normal, name=name)


def bias_weight(
    layer: keras.layers.Layer, name: str, *shape: int
) -> keras.Variable:
    """A new weight of a layer, zeros."""
    return layer.add_weight(shape=shape, initializer="zeros", name=name)
