"""Arrays that tests of quantizers compare and quantize."""

import numpy as np
from keras import ops


def to_numpy(x):
    return ops.convert_to_numpy(ops.convert_to_tensor(x))


def random(*shape, seed=0):
    """Standard normal values, the same at each call."""
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def repeated_centers(num_centers, repeats, scale, noise, seed):
    """Centers (n, 5), and each of them with noise, (n * repeats, 5)."""
    centers = scale * random(num_centers, 5, seed=seed)
    z = np.repeat(centers, repeats, axis=0)
    return centers, z + noise * random(len(z), 5)


def numeric_gradient(function, x, step=1e-5):
    """Central differences of a function of an array, in float64."""
    x = np.array(x, "float64")
    result = np.zeros_like(x)
    for place in np.ndindex(x.shape):
        shifted = [x.copy(), x.copy()]
        shifted[0][place] += step
        shifted[1][place] -= step
        up, down = map(function, shifted)
        result[place] = (up - down) / (2 * step)
    return result


def softmax(x):
    odds = np.exp(x - x.max(-1, keepdims=True))
    return odds / odds.sum(-1, keepdims=True)


def numpy_entropy(shares):
    return -np.sum(shares * np.log(np.maximum(shares, 1e-20)), axis=-1)


def weighted(weights):
    """The `of` of `gradients`: a weighted sum of the output."""
    return lambda output, _: ops.sum(output * ops.convert_to_tensor(weights))
