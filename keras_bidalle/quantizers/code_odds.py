"""What latents make of the odds of all codes, without keeping the odds.

Of 4096 latents and 65536 codes one table of odds takes 1 GiB, and automatic
gradients would keep several. Here only the results are kept; the gradient
makes the table again.
"""

from typing import Any

from keras import ops


def code_odds(z: Any, codebook: Any, temperature: float) -> tuple:
    """The mixture of code vectors, the entropies and the use of the codes.

    With l = z E^T, p = softmax(l) and p_t = softmax(l / temperature).
    Gradients reach z and, through l alone, E.

    Args:
        z: float32 tensor (n, C).
        codebook: float32 tensor (K, C), E.
        temperature: float, above 0.

    Returns:
        Tuple of float32 tensors: p sg[E] (n, C), the sum over n of the
        entropies of p_t, a scalar in nats, and the sum over n of p_t (K,).
    """

    @ops.custom_gradient
    def joined(z, codebook):
        odds, sharp, log_sharp = _odds(z, codebook, temperature)
        results = ops.concatenate(
            [
                ops.reshape(ops.matmul(odds, codebook), (-1,)),
                -ops.sum(sharp * log_sharp)[None],
                ops.sum(sharp, axis=0),
            ]
        )

        def gradient(*args, upstream=None):
            # torch has the arguments before it.
            upstream = args[-1] if upstream is None else upstream
            return _gradient(z, codebook, temperature, upstream)

        return results, gradient

    # One tensor: not all backends have a gradient of several. A copy, since
    # TensorFlow wants another gradient of a variable that is used within.
    results = joined(z, ops.copy(codebook))
    num_codes, size = codebook.shape
    mixed = ops.reshape(results[: -num_codes - 1], (-1, size))
    return mixed, results[-num_codes - 1], results[-num_codes:]


def _odds(z, codebook, temperature):
    logits = ops.matmul(z, ops.transpose(codebook))  # (n, K)
    log_sharp = ops.log_softmax(logits / temperature, axis=-1)
    return ops.softmax(logits, axis=-1), ops.exp(log_sharp), log_sharp


def _gradient(z, codebook, temperature, upstream):
    num_codes, size = codebook.shape
    of_mixture = ops.reshape(upstream[: -num_codes - 1], (-1, size))
    of_entropy, of_sums = upstream[-num_codes - 1], upstream[-num_codes:]
    # A compiler that saw the same expression twice would keep the table.
    odds, sharp, log_sharp = _odds(z + 0.0 * of_entropy, codebook, temperature)
    through = ops.matmul(of_mixture, ops.transpose(codebook))
    of_logits = _through_softmax(odds, through)
    # dH/dp_t = -(log p_t + 1), of which the 1 falls away in the softmax.
    through = of_sums - of_entropy * log_sharp
    of_logits = of_logits + _through_softmax(sharp, through) / temperature
    return (
        ops.matmul(of_logits, codebook),
        ops.matmul(ops.transpose(of_logits), z),
    )


def _through_softmax(odds, upstream):
    mean = ops.sum(odds * upstream, axis=-1, keepdims=True)
    return odds * (upstream - mean)
