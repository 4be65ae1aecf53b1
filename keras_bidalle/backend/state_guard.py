"""State that calls of a layer move, kept from batches that are not finite."""

from collections.abc import Iterable
from typing import Any

from keras import ops

from keras_bidalle.backend import replicas


def moved_by_calls(weight: Any) -> Any:
    """Marks a weight as state that calls of its layer move."""
    weight.moved_by_calls = True
    return weight


class StateGuard:
    """Undoes what a batch that is not finite does to a layer's state.

    In half precision an optimizer skips such a batch. So must all that the
    call itself moves, as one average that is not a number stays so for good.
    No replica keeps its state where another does not.

    Args:
        layer: a built `keras.layers.Layer`, about to be called, with weights
            that are `moved_by_calls`.
        inputs: tensors that its state is moved by.
    """

    def __init__(self, layer: Any, inputs: Iterable[Any]) -> None:
        # Not the other weights: writing what a gradient is still to be taken
        # of is an error in PyTorch.
        self._weights = [
            weight
            for weight in layer.non_trainable_weights
            if getattr(weight, "moved_by_calls", False)
        ]
        # Copies, as PyTorch's variables are written in place.
        self._before = [ops.copy(weight) for weight in self._weights]
        bad = [ops.cast(~_is_finite(x), "float32") for x in inputs]
        self._finite = ops.equal(replicas.all_reduce_sum(sum(bad)), 0.0)

    def end(self) -> None:
        """To be called when the layer has moved its state."""
        after = [ops.convert_to_tensor(weight) for weight in self._weights]
        finite = self._finite
        for value in after:
            finite = finite & _is_finite(value)
        for weight, old, new in zip(
            self._weights, self._before, after, strict=True
        ):
            weight.assign(ops.where(finite, new, old))


def _is_finite(x):
    return ops.all(ops.isfinite(x))
