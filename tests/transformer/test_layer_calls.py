"""Layers give while decoding what they give when they are called."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_bidalle.backend.compiled import compiled
from keras_bidalle.generators import BidirectionalTransformer
from keras_bidalle.transformer import layer_calls
from keras_bidalle.transformer.transformer_block import TransformerBlock

BACKEND = keras.config.backend()
KINDS = {
    "jax": (layer_calls.ColumnProducts, layer_calls.NarrowProducts),
    "tensorflow": (layer_calls.LoneProducts,),
    "torch": (layer_calls.EagerCalls,),
}[BACKEND]


def make_block(use_bias=True, **kwargs):
    block = TransformerBlock(128, 2, use_bias=use_bias, **kwargs)
    block.build((None, None, 128))
    for weight in block.weights:
        weight.assign(weight + 0.1 * keras.random.normal(weight.shape, seed=3))
    return block


def calls_of(kind, block):
    if issubclass(kind, layer_calls.EagerCalls):
        return kind()
    return kind(block.projections)


def layers_of(block):
    return [block.attention_norm, *block.projections]


@pytest.mark.parametrize("rows", [1, 5])
@pytest.mark.parametrize("use_bias", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_what_layers_give_is_the_same(kind, use_bias, rows):
    # 100 hidden channels are no whole number of blocks of columns.
    block = make_block(use_bias, feed_forward_width=100)
    rng = np.random.default_rng(0)
    for layer in layers_of(block):
        channels = 100 if layer is block.contract else 128
        x = rng.normal(size=(rows, 1, channels)).astype("float32")

        def called(x, layer=layer):
            return calls_of(kind, block)(layer, x)

        found = compiled(called, [block], xla=True)(ops.convert_to_tensor(x))
        wanted = ops.convert_to_numpy(layer(x))
        # bfloat16 has 8 bits, and sums of 128 products with it far more.
        narrow = kind is layer_calls.NarrowProducts
        np.testing.assert_allclose(
            ops.convert_to_numpy(found),
            wanted,
            rtol=0,
            atol=(0.02 if narrow else 1e-5) * np.abs(wanted).max(),
        )


@pytest.mark.skipif(BACKEND != "jax", reason="products of JAX")
def test_factors_are_narrow_and_sums_are_not():
    block = make_block(dtype="bfloat16")
    x = np.random.default_rng(0).normal(size=(3, 1, 128)).astype("float32")
    run = layer_calls.NarrowProducts(block.projections)
    found = run(block.expand, ops.convert_to_tensor(x))
    assert found.dtype == "float32"

    def rounded(value):
        value = ops.convert_to_numpy(ops.cast(value, "bfloat16"))
        return value.astype("float64")

    wanted = rounded(x) @ rounded(block.expand.kernel)
    wanted += rounded(block.expand.bias)
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.skipif(BACKEND != "torch", reason="products of torch")
@pytest.mark.parametrize("use_bias", [False, True])
def test_products_of_8_bits_are_those_of_keras(use_bias):
    block = make_block(use_bias)
    block.expand.quantize("int8")
    rng = np.random.default_rng(0)
    # Rows of other sizes, each of which has its own scale.
    x = rng.normal(size=(3, 2, 128)) * np.array([1e-3, 1, 1e3])[:, None, None]
    x = ops.convert_to_tensor(x, "float32")
    wanted = ops.convert_to_numpy(block.expand(x))
    run = layer_calls.EagerCalls()
    assert layer_calls._eager_function(block.expand) is not block.expand
    found = ops.convert_to_numpy(run(block.expand, x))
    error = np.abs(found - wanted).max(axis=(1, 2))
    assert (error < 0.01 * np.abs(wanted).max(axis=(1, 2))).all()
    # A row depends on no other.
    alone = ops.convert_to_numpy(run(block.expand, x[:1]))
    np.testing.assert_array_equal(alone, found[:1])
    # Weights that are loaded later are seen.
    block.expand._kernel.assign(ops.zeros_like(block.expand._kernel))
    y = layer_calls.EagerCalls()(block.expand, x)
    bias = 0.0 if not use_bias else ops.convert_to_numpy(block.expand.bias)
    np.testing.assert_allclose(
        ops.convert_to_numpy(y), bias + 0.0 * found, atol=1e-6
    )


def adapted(layer):
    layer.quantize("int8")
    layer.enable_lora(2)
    layer.lora_kernel_b.assign(ops.ones_like(layer.lora_kernel_b))


@pytest.mark.skipif(BACKEND != "torch", reason="products of torch")
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float64"])
@pytest.mark.parametrize(
    "change",
    [
        lambda layer: layer.quantize("int8"),
        lambda layer: layer.quantize(
            config=keras.quantizers.Int8QuantizationConfig(
                activation_quantizer=None
            )
        ),
        lambda layer: layer.quantize("int4"),
        adapted,
    ],
)
def test_changed_layers_give_what_they_give_when_called(change, dtype):
    block = make_block(dtype=dtype)
    change(block.expand)
    x = np.random.default_rng(0).normal(size=(3, 2, 128)).astype("float32")
    x = ops.cast(ops.convert_to_tensor(x), dtype)
    wanted, found = (
        ops.convert_to_numpy(ops.cast(run(block.expand, x), "float32"))
        for run in (layer_calls.PLAIN_CALLS, layer_calls.EagerCalls())
    )
    np.testing.assert_allclose(
        found, wanted, rtol=0, atol=0.02 * np.abs(wanted).max()
    )


@pytest.mark.parametrize(
    "dtype,rows,wanted",
    {
        "jax": [
            ("float32", 1, "LayerCalls"),
            ("float32", 8, "ColumnProducts"),
            ("float32", 32, "LayerCalls"),
            ("float32", None, "LayerCalls"),
            ("bfloat16", 1, "NarrowProducts"),
            ("float16", 8, "LayerCalls"),
        ],
        "tensorflow": [
            ("float32", 1, "LoneProducts"),
            ("float32", 8, "LayerCalls"),
            ("bfloat16", 1, "LayerCalls"),
        ],
        "torch": [("float32", 1, "EagerCalls"), ("bfloat16", 8, "EagerCalls")],
    }[BACKEND],
)
def test_the_way_fits_the_backend_and_the_rows(dtype, rows, wanted):
    devices = keras.distribution.list_devices() if BACKEND != "torch" else []
    if not all("cpu" in device for device in devices):
        pytest.skip("ways of a CPU")
    found = layer_calls.layer_calls([make_block(dtype=dtype)], rows)
    assert type(found).__name__ == wanted


def test_codes_of_a_bfloat16_model_are_nearly_the_likeliest():
    arguments = {
        "text_vocabulary_size": 11,
        "text_length": 6,
        "num_codes": 7,
        "code_shape": (4, 4),
        "width": 64,
        "depth": 2,
        "num_heads": 2,
        "query_key_norm": True,
        "token_kernel_size": 3,
        "rotary": True,
    }
    narrow = BidirectionalTransformer(**arguments, dtype="bfloat16")
    exact = BidirectionalTransformer(**arguments)
    for weight, twin in zip(narrow.weights, exact.weights, strict=True):
        if "seed" not in weight.path:
            noise = keras.random.normal(weight.shape, seed=5, dtype="float32")
            weight.assign(ops.cast(weight, "float32") + 0.3 * noise)
            twin.assign(ops.cast(weight, "float32"))
    text = np.random.default_rng(0).integers(3, 11, (5, 6))
    codes = narrow.generate_codes(text, temperature=0.0)
    logits = exact(
        {"text": text, "codes": codes, "text_to_image": np.ones(5, bool)}
    )["image_logits"]
    logits = ops.convert_to_numpy(logits)[:, :, 0]
    taken = np.take_along_axis(logits, codes.reshape(5, 16, 1), axis=-1)
    missed = logits.max(axis=-1) - taken[..., 0]
    # Of logits that lie far apart.
    assert logits.std(axis=-1).mean() > 0.7
    assert missed.max() < 0.3
    assert missed.mean() < 0.02
