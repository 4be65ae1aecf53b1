"""How layers are called where rows are decoded one position at a time.

The same few rows meet the same weights at every step, so what is fastest is
not what is for whole images. A loop asks `layer_calls` once, before its
first step, and calls its layers through what that gives.
"""

import weakref

import keras
from keras import layers, ops

from keras_bidalle.backend.current import backend_name, is_eager, on_cpu
from keras_bidalle.backend.narrow_products import narrow_product
from keras_bidalle.backend.xla import has_xla

# Rows of which XLA's products on CPUs take longer than sums of products of
# columns side by side: they lay the weights out anew at every call.
_FEW_ROWS = range(4, 17)
_COLUMNS = 64
_OWN_DTYPES = ("float32", "bfloat16", "float16")

# Of layers with weights of 8 bits: the kernel, its version, and the product.
_NARROW: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()


def layer_calls(blocks, rows):
    """The `LayerCalls` that are fastest for blocks, whose products take time.

    `rows` may be `None` where they are unknown. It is for this graph alone, as
    it may hold tensors.
    """
    if is_eager():
        return EagerCalls()
    kind = _products_on_cpu(blocks[0].compute_dtype, rows)
    if kind is None:
        return PLAIN_CALLS
    return kind([layer for block in blocks for layer in block.projections])


def prompt_calls():
    """The `LayerCalls` for prompts, which are many positions at once."""
    return EagerCalls() if is_eager() else PLAIN_CALLS


def decoding_dtype(compute_dtype):
    """The dtype of the stream and the caches of decoded positions.

    Where processors multiply numbers of 16 bits and hardly do anything else
    with them, it is float32.
    """
    if _products_on_cpu(compute_dtype, None) is NarrowProducts:
        return "float32"
    return compute_dtype


def _products_on_cpu(compute_dtype, rows):
    """The kind of products that is fastest on a CPU, or `None`."""
    if not (has_xla() and on_cpu()):
        return None
    if backend_name() == "jax":
        if compute_dtype == "bfloat16":
            return NarrowProducts
        if compute_dtype == "float32" and rows in _FEW_ROWS:
            return ColumnProducts
    elif compute_dtype == "float32" and rows == 1:
        return LoneProducts
    return None


class LayerCalls:
    """Calls layers as they are."""

    def __call__(self, layer, x):
        """Returns what `layer` gives for `x`, tensor (B, 1, channels)."""
        return layer(x)

    def split_heads(self, x, num_heads):
        """Queries, keys and values (B, h, n, e) of a tensor (B, n, 3 h e)."""
        n, channels = x.shape[1:]
        shape = (-1, n, 3, num_heads, channels // (3 * num_heads))
        x = ops.reshape(x, shape)
        return ops.unstack(ops.transpose(x, (2, 0, 3, 1, 4)), 3, axis=0)

    def join_heads(self, x):
        """Channels of all heads in a row: (B, h, n, e) to (B, n, h e)."""
        heads, n, channels = x.shape[1:]
        x = ops.transpose(x, (0, 2, 1, 3))
        return ops.reshape(x, (-1, n, heads * channels))


PLAIN_CALLS = LayerCalls()


class EagerCalls(LayerCalls):
    """In torch's own words: those of Keras take longer than the work does.

    For layers that keep no state, in a loop that records no gradient.
    """

    def __init__(self):
        self._functions = {}

    def __call__(self, layer, x):
        function = self._functions.get(id(layer))
        if function is None:
            function = self._functions[id(layer)] = _eager_function(layer)
        return function(x)

    def split_heads(self, x, num_heads):
        # (B, n, 3 h e) -> (B, n, 3, h, e) -> (3, B, h, n, e)
        x = x.unflatten(2, (3, num_heads, -1))
        return x.permute(2, 0, 3, 1, 4).unbind(0)

    def join_heads(self, x):
        return x.transpose(1, 2).flatten(2)


def _eager_function(layer):
    # What Keras casts on the way is left to Keras.
    if (
        layer.compute_dtype != layer.variable_dtype
        or layer.compute_dtype not in _OWN_DTYPES
    ):
        return layer
    if getattr(layer, "quantization_mode", None) is not None:
        # `call` is that of the weights before they were quantized.
        return _int8_function(layer) if _is_int8_dense(layer) else layer
    from torch.nn import functional

    if _is_plain_dense(layer):
        kernel, bias = _value(layer.kernel).T, _value(layer.bias)
        return lambda x: functional.linear(x, kernel, bias)
    if type(layer) is layers.LayerNormalization:
        gamma, beta = _value(layer.gamma), _value(layer.beta)
        shape, epsilon = gamma.shape, layer.epsilon
        return lambda x: functional.layer_norm(x, shape, gamma, beta, epsilon)
    if type(layer) is layers.RMSNormalization and layer.axis in (-1, [-1]):
        scale, epsilon = _value(layer.scale), layer.epsilon
        return lambda x: functional.rms_norm(x, scale.shape, scale, epsilon)
    return layer.call


def _int8_function(layer):
    """How torch multiplies by 8 bits; how Keras does where it cannot."""
    kernel, scale = _value(layer._kernel), _value(layer.kernel_scale)
    # Laying weights out takes longer than many products.
    known, version, product = _NARROW.get(layer, (None, None, None))
    if known is not kernel or version != kernel._version:
        product = narrow_product(kernel, scale)
        _NARROW[layer] = kernel, kernel._version, product
    if product is None:
        return layer
    bias = _value(layer.bias)
    return lambda x: _add_bias(product(x), bias)


class _LaidOutProducts(LayerCalls):
    """Products of `Dense` layers, laid out once, before a loop."""

    def __init__(self, products):
        self._weights = {
            id(layer): self._laid_out(_value(layer.kernel), _value(layer.bias))
            for layer in products
            if _is_plain_dense(layer) and self._fits(layer)
        }

    def __call__(self, layer, x):
        weights = self._weights.get(id(layer))
        if weights is None:
            return layer(x)
        y = self._product(ops.reshape(x, (-1, x.shape[-1])), *weights)
        return ops.reshape(y, (-1, *x.shape[1:-1], layer.units))

    def _fits(self, layer):
        return True


class ColumnProducts(_LaidOutProducts):
    """Columns side by side, in blocks that stay in registers, on JAX."""

    def _fits(self, layer):
        return layer.units % _COLUMNS == 0

    def _laid_out(self, kernel, bias):
        # (K, N) -> (N / 64, K, 64)
        kernel = ops.reshape(kernel, (kernel.shape[0], -1, _COLUMNS))
        return ops.transpose(kernel, (1, 0, 2)), bias

    def _product(self, x, kernel, bias):
        import jax

        # Steps that share a kernel (depths of a stack) would have it
        # repeated for every row, once for all of them.
        kernel = jax.lax.optimization_barrier(kernel)
        y = ops.sum(x[:, None, :, None] * kernel[None], axis=2)
        return _add_bias(ops.reshape(y, (len(x), -1)), bias)


class NarrowProducts(_LaidOutProducts):
    """Factors of bfloat16 and sums of float32, on JAX."""

    def _laid_out(self, kernel, bias):
        return ops.transpose(ops.cast(kernel, "bfloat16")), bias

    def _product(self, x, kernel, bias):
        import jax

        y = jax.lax.dot_general(
            x.astype("bfloat16"),
            kernel,
            (((1,), (1,)), ((), ())),
            preferred_element_type="float32",
        )
        return _add_bias(y, bias)


class LoneProducts(_LaidOutProducts):
    """Products that are not made one with what follows.

    TensorFlow's XLA joins the product of one row with a sum that it is part
    of, a bias or the stream, and computes both on one core of a CPU, but
    leaves it alone, on all cores, where something is taken away from it.
    """

    def _laid_out(self, kernel, bias):
        # Zeros that no compiler knows to be zeros, as weights may not be
        # finite.
        minus = kernel[0] * 0.0 if bias is None else -bias
        return kernel, minus

    def _product(self, x, kernel, minus):
        return ops.matmul(x, kernel) - minus


def _value(weight):
    return None if weight is None else ops.convert_to_tensor(weight)


def _add_bias(y, bias):
    return y if bias is None else y + ops.cast(bias, y.dtype)


def _is_plain_dense(layer):
    return _is_linear(layer) and layer.quantization_mode is None


def _is_int8_dense(layer):
    """Whether rows are brought to 8 bits as `narrow_product` does it."""
    return (
        _is_linear(layer)
        and layer.quantization_mode == "int8"
        and not layer.lora_enabled
        and _is_usual(layer.inputs_quantizer)
    )


def _is_usual(quantizer):
    """Whether rows are brought to 8 bits as Keras does it by itself."""
    usual = keras.quantizers.AbsMaxQuantizer
    return (
        type(quantizer) is usual
        and quantizer.get_config() == usual().get_config()
    )


def _is_linear(layer):
    return (
        type(layer) is layers.Dense
        and layer.activation is keras.activations.linear
    )
