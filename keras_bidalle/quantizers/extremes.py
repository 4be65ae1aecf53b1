"""The place of the least or the greatest value of each row.

As NumPy has it: of equal ones the first, and -0.0 equals 0.0. On TensorFlow
`ops.argmin` and `ops.argmax` tell those two apart by their bits, which costs
time and is what neither ONNX nor LiteRT has operations for.
"""

import keras
from keras import ops


def argmin(x):
    """int32 tensor (...), given a float tensor (..., K)."""
    if keras.config.backend() == "tensorflow":
        import tensorflow as tf

        return tf.argmin(x, axis=-1, output_type=tf.int32)
    return ops.cast(ops.argmin(x, axis=-1), "int32")


def argmax(x):
    """int32 tensor (...), given a float tensor (..., K)."""
    if keras.config.backend() == "tensorflow":
        import tensorflow as tf

        return tf.argmax(x, axis=-1, output_type=tf.int32)
    return ops.cast(ops.argmax(x, axis=-1), "int32")
