"""How much of a codebook is in use: the figures that show a collapse."""

import keras
from keras import ops

from keras_bidalle.backend.keras_internals import is_stateless


def usage(shares, size=None):
    """Share of the codes that occur, a scalar, of shares (..., K).

    `size` is the number of codes, by default all there is a share of.
    """
    occurring = ops.cast(shares > 0, "float32")
    return ops.mean(occurring) if size is None else ops.sum(occurring) / size


def perplexity(shares):
    """exp(entropy) of shares (..., K), from 1 (collapse) to K, the mean."""
    entropy = -ops.sum(shares * ops.log(shares + 1e-10), axis=-1)
    return ops.mean(ops.exp(entropy))


class CodebookMetric(keras.metrics.Metric):
    """Base of the figures over how often each code was chosen.

    `epoch_counts` is the quantizer's own variable, of counts since the last
    reset, which outlives the step on every backend.
    """

    def __init__(self, epoch_counts, name):
        super().__init__(name=name, dtype="float32")
        # In a closure, so that the weight stays the quantizer's alone.
        self._epoch_counts = lambda: epoch_counts
        self.counts = self.add_variable(
            epoch_counts.shape, "zeros", name="counts"
        )

    def update_state(self):
        self.counts.assign(self._epoch_counts().value)

    def reset_state(self):
        super().reset_state()
        epoch_counts = self._epoch_counts()
        epoch_counts.assign(ops.zeros(epoch_counts.shape, dtype="float32"))

    def shares(self):
        """Shares of the codes, (..., K), rows adding to 1 (0 when empty)."""
        # JAX trains on copies of the state: within its step the metric can
        # only read its own variable, which is behind unless the model calls
        # `Quantizer.update_metrics`. Outside, the layer's weight is right.
        if is_stateless():
            counts = ops.convert_to_tensor(self.counts)
        else:
            counts = ops.convert_to_tensor(self._epoch_counts())
        total = ops.sum(counts, axis=-1, keepdims=True)
        return counts / ops.maximum(total, 1.0)


class CodebookUsage(CodebookMetric):
    """Share of `size` codes chosen at least once in the epoch, in [0, 1]."""

    def __init__(self, epoch_counts, size, name):
        super().__init__(epoch_counts, name)
        self.size = size

    def result(self):
        return usage(self.shares(), self.size)


class Perplexity(CodebookMetric):
    """`perplexity` of the codes of the epoch, the mean over codebooks."""

    def result(self):
        return perplexity(self.shares())
