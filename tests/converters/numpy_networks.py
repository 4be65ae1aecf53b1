"""The layers of published tokenizers in plain NumPy, channels first.

They read the arrays of a state dict by the names that the programs save, and
make those arrays in the first place: random ones, where none is there yet.
"""

import numpy as np


class Weights(dict):
    """A state dict whose arrays are made when they are first asked for."""

    def __init__(self, seed=0):
        super().__init__()
        self.rng = np.random.default_rng(seed)

    def get(self, name, *shape):
        if name not in self:
            fan_in = max(1, int(np.prod(shape[1:])))
            array = self.rng.normal(size=shape) / np.sqrt(fan_in)
            if name.endswith(".bias"):
                array *= 0.1
            self[name] = array.astype("float32")
        assert self[name].shape == shape, name
        return self[name].astype("float64")

    def conv(self, name, x, outputs, size=3, stride=1, bias=True):
        """A convolution of maps (B, C, H, W) that are padded already."""
        kernel = self.get(f"{name}.weight", outputs, x.shape[1], size, size)
        windows = np.lib.stride_tricks.sliding_window_view(
            x, (size, size), axis=(2, 3)
        )[:, :, ::stride, ::stride]
        y = np.einsum("bchwij,ocij->bohw", windows, kernel, optimize=True)
        if bias:
            y = y + self.get(f"{name}.bias", outputs)[:, None, None]
        return y

    def same(self, name, x, outputs, bias=True):
        """A 3x3 convolution with a border of zeros."""
        return self.conv(name, padded(x, 1, 1), outputs, bias=bias)

    def linear(self, name, x, outputs):
        kernel = self.get(f"{name}.weight", outputs, x.shape[1])
        return x @ kernel.T + self.get(f"{name}.bias", outputs)

    def norm(self, name, x):
        gamma, beta = (
            self.get(f"{name}.{part}", x.shape[1])[:, None, None]
            for part in ("weight", "bias")
        )
        return group_norm(x) * gamma + beta

    def residual(self, name, x, outputs, bias=True):
        h = silu(self.norm(f"{name}.norm1", x))
        h = self.same(f"{name}.conv1", h, outputs, bias)
        h = silu(self.norm(f"{name}.norm2", h))
        h = self.same(f"{name}.conv2", h, outputs, bias)
        if x.shape[1] != outputs:
            x = self.conv(f"{name}.nin_shortcut", x, outputs, 1, bias=bias)
        return x + h

    def attention(self, name, x):
        batch, channels, rows, columns = x.shape
        h = self.norm(f"{name}.norm", x)
        query, key, value = (
            self.conv(f"{name}.{part}", h, channels, 1).reshape(
                batch, channels, -1
            )
            for part in "qkv"
        )
        scores = np.einsum("bci,bcj->bij", query, key) / np.sqrt(channels)
        odds = np.exp(scores - scores.max(-1, keepdims=True))
        odds = odds / odds.sum(-1, keepdims=True)
        h = np.einsum("bij,bcj->bci", odds, value).reshape(x.shape)
        return x + self.conv(f"{name}.proj_out", h, channels, 1)

    def output(self, name, x, outputs, size=3):
        """The last norm and convolution of an encoder or a decoder."""
        h = silu(self.norm(f"{name}.norm_out", x))
        border = size // 2
        h = padded(h, border, border)
        return self.conv(f"{name}.conv_out", h, outputs, size)


def padded(x, before, after):
    return np.pad(x, ((0, 0), (0, 0), (before, after), (before, after)))


def silu(x):
    return x / (1 + np.exp(-x))


def group_norm(x, groups=32):
    parts = x.reshape(x.shape[0], groups, -1)
    mean, var = parts.mean(-1, keepdims=True), parts.var(-1, keepdims=True)
    return ((parts - mean) / np.sqrt(var + 1e-6)).reshape(x.shape)


def doubled(x):
    return x.repeat(2, axis=2).repeat(2, axis=3)
