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
