"""What the layers of a generator have in common."""

from typing import Any

import keras
from keras import layers, ops

from keras_bidalle.arguments import Configured


class TransformerLayer(Configured, layers.Layer):
    """A layer of a generator, with tables as transformers have them."""

    def normal(self, name: str, *shape: int, stddev: float = 0.02) -> Any:
        """A new weight, drawn from a normal distribution."""
        start = keras.initializers.RandomNormal(stddev=stddev)
        return self.add_weight(shape=shape, initializer=start, name=name)

    def cast(self, weight: Any) -> Any:
        """A weight in the dtype that the layer computes in."""
        return ops.cast(weight, self.compute_dtype)

    def biases(self, name: str, *shape: int) -> Any:
        """New biases of logits, zeros, or `None` without `head_bias`."""
        if not self.head_bias:
            return None
        return self.add_weight(shape=shape, initializer="zeros", name=name)

    def classified(self, x: Any, kernel: Any, bias: Any = None) -> Any:
        """Logits: (..., d) by a kernel (d, K) to float32 (..., K)."""
        logits = ops.cast(ops.matmul(x, self.cast(kernel)), "float32")
        return logits if bias is None else logits + ops.cast(bias, "float32")
