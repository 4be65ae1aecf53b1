"""Vector quantization of few channels, with latents of length 1."""

import keras
import numpy as np
import pytest
from keras import ops
from quantizer_arrays import random, to_numpy

from keras_bidalle.backend.current import is_tensorflow
from keras_bidalle.quantizers import (
    IBQ,
    ResidualQuantizer,
    SimVQ,
    VectorQuantizer,
)


def unit(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def test_latents_and_codes_of_length_1_are_searched_and_given():
    layer = VectorQuantizer(
        9, 4, normalize=True, codebook_initializer="random_normal"
    )
    z = random(6, 4)
    output = to_numpy(layer(z))
    codebook = unit(to_numpy(layer.embedding))
    codes = np.argmax(unit(z) @ codebook.T, -1)
    np.testing.assert_array_equal(to_numpy(layer.encode(z)), codes)
    np.testing.assert_allclose(output, codebook[codes], atol=1e-6)
    expected = 1.25 * np.mean((unit(z) - codebook[codes]) ** 2)
    assert float(sum(layer.losses)) == pytest.approx(expected, rel=1e-4)


def test_projections_stand_before_the_search_and_after_it(gradients):
    layer = VectorQuantizer(9, 4, input_dim=6, normalize=True, seed=0)
    z = random(2, 3, 6)
    output = to_numpy(layer(z))
    assert output.shape == (2, 3, 6)
    assert layer.compute_output_shape(z.shape) == (2, 3, 6)
    inside = z @ to_numpy(layer.project_in.kernel)
    codes = np.argmax(unit(inside) @ to_numpy(layer.codebook).T, -1)
    np.testing.assert_array_equal(to_numpy(layer.encode(z)), codes)
    np.testing.assert_allclose(to_numpy(layer.decode(codes)), output, atol=1e-5)
    grad, weights = gradients(layer, z, of=lambda x, _: ops.sum(x**2))
    assert np.abs(grad).max() > 0
    again = keras.layers.deserialize(keras.layers.serialize(layer))
    assert again.get_config() == layer.get_config()


def test_residual_depths_have_no_projections():
    with pytest.raises(ValueError, match="without projections"):
        ResidualQuantizer(VectorQuantizer(9, 4, input_dim=6), code_depth=2)


@pytest.mark.parametrize("kind", [VectorQuantizer, SimVQ, IBQ])
def test_a_large_codebook_is_searched_in_parts(kind, monkeypatch):
    from keras_bidalle.quantizers import row_chunks

    layer, z = kind(40, 4, seed=0), random(7, 4)
    whole = to_numpy(layer.encode(z))
    monkeypatch.setattr(row_chunks, "_LARGE", 1)
    monkeypatch.setattr(row_chunks, "_CODES_A_PART", 10)
    np.testing.assert_array_equal(to_numpy(layer.encode(z)), whole)


@pytest.mark.parametrize("rows", [1, 63, 65])
@pytest.mark.parametrize("kind", [VectorQuantizer, IBQ])
def test_no_part_of_the_rows_is_empty(kind, rows, monkeypatch):
    from keras_bidalle.quantizers import row_chunks

    layer, z = kind(64, 4, seed=0), random(rows, 4)
    whole = to_numpy(layer.encode(z))
    monkeypatch.setattr(row_chunks, "_LARGE", 1)
    monkeypatch.setattr(row_chunks, "_CODES_A_PART", 1)  # 64 parts
    assert all(len(part) for part in row_chunks.row_chunks(z, 64))
    np.testing.assert_array_equal(to_numpy(layer.encode(z)), whole)
    output = layer(z, training=True)
    assert np.isfinite(to_numpy(output)).all()
    assert np.isfinite(float(sum(layer.losses)))
    if is_tensorflow():
        import tensorflow as tf

        # Of a number of rows that only the running program knows.
        some = tf.TensorSpec((None, 4), "float32")
        encode = tf.function(layer.encode, input_signature=[some])
        np.testing.assert_array_equal(to_numpy(encode(z)), whole)
        assert tuple(encode(z[:0]).shape) == (0,)
