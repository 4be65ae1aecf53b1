"""DALL-E's discrete VAE in plain NumPy, as its appendix A.1 has it."""

import numpy as np
from keras import ops


def to_numpy(x):
    return np.asarray(ops.convert_to_numpy(x))


def numpy_convolution(x, layer):
    kernel, bias = to_numpy(layer.kernel), to_numpy(layer.bias)
    size = kernel.shape[0]
    border = size // 2
    x = np.pad(x, [(0, 0), (border, border), (border, border), (0, 0)])
    height, width = x.shape[1] - size + 1, x.shape[2] - size + 1
    return bias + sum(
        x[:, i : i + height, j : j + width] @ kernel[i, j]
        for i in range(size)
        for j in range(size)
    )


def numpy_block(x, block, gain):
    h = x
    for layer in block.convolutions:
        h = numpy_convolution(np.maximum(h, 0), layer)
    if block.shortcut is not None:
        x = numpy_convolution(x, block.shortcut)
    return x + gain * h


def numpy_halves(model, images, gain):
    """The paper's appendix A.1 in plain NumPy: logits, then statistics."""
    x = (1 - 2 * 0.1) * (images + 1) / 2 + 0.1
    x = numpy_convolution(x, model.encoder.conv_in)
    groups = len(model.channel_multipliers)
    blocks = iter(model.encoder.bottlenecks)
    for group in range(groups):
        for _ in range(model.num_res_blocks):
            x = numpy_block(x, next(blocks), gain)
        if group < groups - 1:
            b, h, w, c = x.shape
            x = x.reshape(b, h // 2, 2, w // 2, 2, c).max((2, 4))
    projection = model.quantizer.projection
    logits = np.maximum(x, 0) @ to_numpy(projection.kernel)
    logits = logits + to_numpy(projection.bias)
    x = to_numpy(model.quantizer.codebook)[logits.argmax(-1)]
    blocks = iter(model.decoder.bottlenecks)
    for group in range(groups):
        for _ in range(model.num_res_blocks):
            x = numpy_block(x, next(blocks), gain)
        if group < groups - 1:
            x = x.repeat(2, 1).repeat(2, 2)
    x = numpy_convolution(np.maximum(x, 0), model.decoder.conv_out)
    return logits, x
