"""Which backend runs, and where: the one module that asks.

All other rooms ask here, and few have to: what differs between backends is
done by functions of this room.
"""

from typing import Any

import keras
import numpy as np


def backend_name() -> str:
    """The backend of Keras: "tensorflow", "jax", "torch" or another."""
    return keras.config.backend()


def is_tensorflow() -> bool:
    """Whether TensorFlow runs."""
    return backend_name() == "tensorflow"


def is_eager() -> bool:
    """Whether operations run one by one (torch), and nothing is compiled."""
    return backend_name() == "torch"


def has_value(x: Any) -> bool:
    """Whether `x` has values now, and is no part of a program being traced."""
    if isinstance(x, np.ndarray):
        return True
    if isinstance(x, keras.KerasTensor):
        return False
    if backend_name() == "torch":
        import torch

        traced = torch.compiler.is_compiling() or torch.jit.is_tracing()
        return type(x) is torch.Tensor and not traced
    if backend_name() == "jax":
        import jax

        return not isinstance(x, jax.core.Tracer)
    return hasattr(x, "numpy")


def on_cpu() -> bool:
    """Whether JAX or TensorFlow compute on a CPU, as there is nothing else."""
    if backend_name() == "jax":
        import jax

        return jax.default_backend() == "cpu"
    import tensorflow as tf

    return not tf.config.list_physical_devices("GPU")


def has_accelerator() -> bool:
    """Whether there is a GPU, or the like, that the backend computes on."""
    if backend_name() == "torch":
        import torch

        return torch.cuda.is_available()
    return not on_cpu()
