"""The place of the least or the greatest value of each row.

As NumPy has it: of equal ones the first, and -0.0 equals 0.0. On TensorFlow
and JAX `ops.argmin` and `ops.argmax` tell those two apart by their bits, which
costs time and is what neither ONNX nor LiteRT has operations for.
"""

from typing import Any

from keras import ops

from keras_bidalle.backend.current import backend_name


def argmin(x: Any) -> Any:
    """int32 tensor (...), given a float tensor (..., K)."""
    return _extreme("argmin", x)


def argmax(x: Any) -> Any:
    """int32 tensor (...), given a float tensor (..., K)."""
    return _extreme("argmax", x)


def _extreme(name, x):
    backend = backend_name()
    if backend == "tensorflow":
        import tensorflow as tf

        return getattr(tf, name)(x, axis=-1, output_type=tf.int32)
    if backend == "jax":
        import jax.numpy as jnp

        return getattr(jnp, name)(x, axis=-1).astype("int32")
    return ops.cast(getattr(ops, name)(x, axis=-1), "int32")
