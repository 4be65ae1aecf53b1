"""The decoder that is fastest for a model and a batch, as far as is known."""

from typing import Any

from keras_bidalle.backend.current import is_eager
from keras_bidalle.sampling.decoders.fixed_point import FixedPoint
from keras_bidalle.sampling.decoders.sequential import Decoder, Sequential

# Of a step where operations run one by one, on two cores of a CPU: seconds of
# a layer's calls, of reading a weight, of using it for one position of a row,
# and of what products of several positions take longer than those of one.
_CALLS, _READ, _USED, _SEVERAL = 4e-4, 2e-10, 2e-11, 2.5e-10
_WINDOWS = (8, 4)
# More wait for each other for longer than passes save.
_MOST_ROWS = 2
# A pass must not cost much more than the tokens that it brings where codes
# are hard to guess.
_MOST_COST = 2.2


class Fastest(Decoder):
    """Takes passes where a pass costs hardly more than a step.

    That was measured where operations run one by one (PyTorch), for one row
    and two: calls and reading the weights are then what takes the time.
    Compiled loops step, and batches, whose rows wait for each other.
    """

    def chosen(self, generator: Any, rows: int) -> Decoder:
        if rows > _MOST_ROWS or not is_eager():
            return Sequential()
        for window in _WINDOWS:
            cost = pass_cost(generator, rows, window)
            if cost <= _MOST_COST:
                return FixedPoint(window, cost)
        return Sequential()


def pass_cost(generator: Any, rows: int, window: int) -> float:
    """How many single steps take as long as a pass over a window."""
    blocks = generator.transformer.blocks
    weights = sum(block.count_params() for block in blocks)
    same = _CALLS * len(blocks) + _READ * weights
    used = _USED * weights * rows
    more = _SEVERAL * weights + used * (window - 1)
    return 1.0 + more / (same + used)
