"""Tests of the pieces of convolutional image tokenizers."""

import numpy as np
import pytest
from keras import ops

from keras_bidalle.image_tokenizers.blocks import (
    PaddedConv2D,
    ResidualBlock,
    SpatialAttention,
    Upsample,
    group_norm,
    replication_pad,
)


def _random(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def _convolve(padded, kernel, stride):
    """Plain NumPy convolution of a padded map."""
    size = kernel.shape[0]
    rows = (padded.shape[1] - size) // stride + 1
    columns = (padded.shape[2] - size) // stride + 1
    result = 0.0
    for i in range(size):
        for j in range(size):
            part = padded[:, i:, j:][:, ::stride, ::stride]
            result = result + part[:, :rows, :columns] @ kernel[i, j]
    return result


@pytest.mark.parametrize("before, after", [(1, 1), (0, 1), (2, 2), (0, 0)])
def test_replication_pad_repeats_the_border(before, after):
    x = _random(2, 4, 5, 3)
    width = ((0, 0), (before, after), (before, after), (0, 0))
    np.testing.assert_array_equal(
        ops.convert_to_numpy(
            replication_pad(ops.convert_to_tensor(x), before, after)
        ),
        np.pad(x, width, mode="edge"),
    )


@pytest.mark.parametrize("strides", [1, 2])
@pytest.mark.parametrize(
    "padding_mode, mode", [("zero", "constant"), ("replication", "edge")]
)
def test_padded_convolution_pads_as_it_says(padding_mode, mode, strides):
    x = _random(2, 6, 4, 3)
    layer = PaddedConv2D(5, 3, strides=strides, padding_mode=padding_mode)
    result = ops.convert_to_numpy(layer(x))
    side = (1, 1) if strides == 1 else (0, 1)
    padded = np.pad(x, ((0, 0), side, side, (0, 0)), mode=mode)
    expected = _convolve(padded, ops.convert_to_numpy(layer.kernel), strides)
    np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-5)
    assert tuple(layer.compute_output_shape(x.shape)) == result.shape


def test_padded_convolution_round_trips_its_config():
    layer = PaddedConv2D(5, 3, strides=2, padding_mode="replication")
    config = layer.get_config()
    assert PaddedConv2D.from_config(config).get_config() == config


def test_an_unknown_padding_mode_is_refused():
    with pytest.raises(ValueError, match="padding_mode.*'mirror'"):
        PaddedConv2D(5, 3, padding_mode="mirror")


def test_groups_divide_any_number_of_channels():
    assert group_norm(64).groups == 32
    assert group_norm(48).groups == 16
    assert group_norm(7).groups == 1


def test_residual_block_is_its_equation():
    x = _random(2, 4, 4, 32)
    block = ResidualBlock(64)
    result = ops.convert_to_numpy(block(x))

    def normed(x):
        groups = x.reshape(2, 16, 32, -1)
        mean = groups.mean((1, 3), keepdims=True)
        std = np.sqrt(groups.var((1, 3), keepdims=True) + 1e-6)
        x = ((groups - mean) / std).reshape(x.shape)
        return x / (1.0 + np.exp(-x))

    def pad(x):
        return np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))

    h = _convolve(pad(normed(x)), ops.convert_to_numpy(block.conv1.kernel), 1)
    h = _convolve(pad(normed(h)), ops.convert_to_numpy(block.conv2.kernel), 1)
    expected = x @ ops.convert_to_numpy(block.nin_shortcut.kernel)[0, 0] + h
    np.testing.assert_allclose(result, expected, rtol=1e-3, atol=1e-4)


def test_attention_mixes_all_places_and_keeps_the_shape():
    x = _random(1, 3, 5, 32)
    layer = SpatialAttention()
    first = ops.convert_to_numpy(layer(x))
    assert first.shape == x.shape
    x[0, 0, 0] += 5.0
    second = ops.convert_to_numpy(layer(x))
    assert np.all(np.abs(second - first).max(-1) > 0)


def test_upsampling_repeats_pixels():
    x = _random(1, 2, 3, 1)
    layer = Upsample()
    layer.build(x.shape)
    identity = np.zeros((3, 3, 1, 1), "float32")
    identity[1, 1] = 1.0
    layer.conv.kernel.assign(identity)
    np.testing.assert_allclose(
        ops.convert_to_numpy(layer(x)),
        x.repeat(2, axis=1).repeat(2, axis=2),
        rtol=1e-6,
    )
