"""A small model of our package with nested parts, to save and load."""

import keras
import numpy as np

from keras_bidalle.presets import PresetMixin


@keras.saving.register_keras_serializable(package="keras_bidalle")
class Part(keras.layers.Layer):
    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.dense = keras.layers.Dense(units)
        self.dropout = keras.layers.Dropout(0.5)

    def build(self, input_shape):
        self.dense.build(input_shape)
        self.count = self.add_weight(
            shape=(), initializer="zeros", trainable=False
        )

    def call(self, x):
        return self.dropout(self.dense(x)) + self.count

    def get_config(self):
        return {**super().get_config(), "units": self.units}


@keras.saving.register_keras_serializable(package="keras_bidalle")
class Whole(PresetMixin, keras.Model):
    """Takes (B, 3) through a part; made whole in its constructor."""

    def __init__(self, part, words=(), activation="relu", **kwargs):
        x = inputs = keras.Input((3,))
        x = part(x)
        outputs = keras.layers.Activation(activation)(x)
        super().__init__(inputs=inputs, outputs=outputs, **kwargs)
        self.part = part
        self.words = list(words)
        self.activation = activation

    def get_config(self):
        return {
            "part": keras.saving.serialize_keras_object(self.part),
            "words": self.words,
            "activation": self.activation,
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config):
        part = keras.saving.deserialize_keras_object(config["part"])
        return cls(**{**config, "part": part})


INPUTS = np.linspace(-1, 1, 6, dtype="float32").reshape(2, 3)


def whole(**kwargs):
    return Whole(Part(5), words=["red", "3"], **kwargs)


def outputs(model):
    return keras.ops.convert_to_numpy(model(INPUTS))
