"""A pre-norm transformer block that can also decode one position at a time."""

from typing import Any

import keras
from keras import layers, ops

from keras_bidalle.backend.noise import Dropout
from keras_bidalle.backend.recomputation import drawn_seed, recomputed
from keras_bidalle.transformer import kv_cache
from keras_bidalle.transformer.key_blocks import KeyBlocks
from keras_bidalle.transformer.layer import TransformerLayer
from keras_bidalle.transformer.layer_calls import PLAIN_CALLS, LayerCalls
from keras_bidalle.transformer.rotary import rotate
from keras_bidalle.validation import check_choice, refused

_MOST_BLOCKS = 10_000


def _geglu(x):
    value, gate = ops.split(x, 2, axis=-1)
    return value * ops.gelu(gate, approximate=False)


def _swiglu(x):
    value, gate = ops.split(x, 2, axis=-1)
    return value * ops.silu(gate)


def _quick_gelu(x):
    return x * ops.sigmoid(1.702 * x)


def _squared_relu(x):
    x = ops.relu(x)
    return x * x


def _keep(x):
    return x


# Activation of the feed-forward and how many times wider its input is.
_ACTIVATIONS = {
    "gelu": (lambda x: ops.gelu(x, approximate=False), 1),
    "quick_gelu": (_quick_gelu, 1),
    "geglu": (_geglu, 2),
    "swiglu": (_swiglu, 2),
    "squared_relu": (_squared_relu, 1),
}
_NORMALIZATIONS = {
    "layer": (layers.LayerNormalization, 1e-5),
    "rms": (layers.RMSNormalization, 1e-6),
}


def make_norm(kind: str, **kwargs: Any) -> layers.Layer:
    """A norm over channels: `kind` is "layer" or "rms"."""
    check_choice(_NORMALIZATIONS, normalization=kind)
    norm, epsilon = _NORMALIZATIONS[kind]
    return norm(epsilon=epsilon, **kwargs)


def make_blocks(depth: int, name: str, *args: Any, **kwargs: Any) -> list:
    """Blocks of one kind: list of `TransformerBlock`."""
    if depth > _MOST_BLOCKS:
        raise refused(f"be at most {_MOST_BLOCKS:,}", depth=depth)
    return [
        TransformerBlock(*args, **kwargs, name=f"{name}_{i}")
        for i in range(depth)
    ]


@keras.saving.register_keras_serializable(package="keras_bidalle")
class TransformerBlock(TransformerLayer):
    """x + attention(norm(x)), then x + feed_forward(norm(x)).

    Args:
        width: int, channels of the residual stream, d.
        num_heads: int.
        head_dim: int, channels of one head; `width // num_heads` if `None`.
        feed_forward_width: int, hidden channels; `4 * width` if `None`.
        activation: str, "gelu", "quick_gelu" (x sigmoid(1.702 x)), "geglu" or
            "swiglu" (gated, with twice the input weights) or "squared_relu"
            (cheapest on a CPU).
        normalization: str, "layer" or "rms".
        query_key_norm: bool, normalizes queries and keys of each head too,
            which keeps attention stable at high learning rates.
        layer_scale: float, start of a learned scale of each channel of both
            branches, or `None` for no such scale.
        use_bias: bool, biases of the output and feed-forward projections.
        qkv_bias: bool, biases of the queries, keys and values.
        dropout: float, of both branches' outputs.
        gradient_checkpointing: bool, keeps only the block's input for the
            gradients and computes the rest again, for a third more work and
            a fraction of the memory.

    Call arguments:
        x: tensor (B, S, d).
        attention_bias: additive tensor broadcastable to (B, heads, S, S), 0
            where a query may look and very negative elsewhere.
        rotation: pair of tensors of `rotary.rotate`, or `None`.

    Reference:
        GELU and its quick form: arXiv 1606.08415. GEGLU and
        SwiGLU: arXiv 2002.05202.
        Layer scale: arXiv 2103.17239, Eq. 4. Squared ReLU: arXiv 2109.08668.
        Query-key norm: arXiv 2010.04245.
    """

    def __init__(
        self,
        width: int,
        num_heads: int,
        head_dim: int | None = None,
        feed_forward_width: int | None = None,
        activation: str = "gelu",
        normalization: str = "layer",
        query_key_norm: bool = False,
        layer_scale: float | None = None,
        use_bias: bool = True,
        dropout: float = 0.0,
        qkv_bias: bool = False,
        gradient_checkpointing: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_choice(_ACTIVATIONS, activation=activation)
        if head_dim is None and width % num_heads:
            raise ValueError(
                "`width` must be a multiple of `num_heads` when `head_dim` "
                f"is not given. Received: width={width}, "
                f"num_heads={num_heads}"
            )
        self.width = width
        self.num_heads = num_heads
        self.head_dim = head_dim or width // num_heads
        self.feed_forward_width = feed_forward_width or 4 * width
        self.activation = activation
        self.normalization = normalization
        self.query_key_norm = query_key_norm
        if layer_scale is not None and not isinstance(layer_scale, int | float):
            raise refused("be a number or None", layer_scale=layer_scale)
        self.layer_scale = layer_scale
        self.use_bias = use_bias
        self.dropout = dropout
        self.qkv_bias = qkv_bias
        self.gradient_checkpointing = gradient_checkpointing

        self._activation, multiple = _ACTIVATIONS[activation]
        dtype = self.dtype_policy

        def normal():
            return keras.initializers.VarianceScaling(1.0, "fan_in", "normal")

        def dense(units, name, start, use_bias=use_bias):
            return layers.Dense(
                units,
                use_bias=use_bias,
                kernel_initializer=start,
                dtype=dtype,
                name=name,
            )

        def norm(name):
            return make_norm(normalization, dtype=dtype, name=name)

        inner = self.num_heads * self.head_dim
        hidden = multiple * self.feed_forward_width
        self.attention_norm = norm("attention_norm")
        self.to_qkv = dense(3 * inner, "to_qkv", normal(), use_bias=qkv_bias)
        # Branches that start at zero leave the stream as it is: deep stacks
        # train from the first step without a warm-up of their own.
        self.to_out = dense(width, "to_out", "zeros")
        self.feed_forward_norm = norm("feed_forward_norm")
        self.expand = dense(hidden, "expand", normal())
        self.contract = dense(width, "contract", "zeros")
        if query_key_norm:
            self.query_norm = norm("query_norm")
            self.key_norm = norm("key_norm")
        self.drop = Dropout(dropout, dtype=dtype) if dropout else None

    def build(self, input_shape: Any) -> Any:
        d = self.width
        stream = (None, None, d)
        for layer in (
            self.attention_norm,
            self.to_qkv,
            self.feed_forward_norm,
            self.expand,
        ):
            layer.build(stream)
        self.to_out.build((None, None, self.num_heads * self.head_dim))
        self.contract.build((None, None, self.feed_forward_width))
        if self.query_key_norm:
            self.query_norm.build((None, None, None, self.head_dim))
            self.key_norm.build((None, None, None, self.head_dim))
        if self.layer_scale is not None:
            start = keras.initializers.Constant(self.layer_scale)
            for name in ("attention_scale", "feed_forward_scale"):
                scale = self.add_weight((d,), start, name=name)
                setattr(self, name, scale)

    def call(
        self,
        x: Any,
        attention_bias: Any = None,
        rotation: Any = None,
        training: Any = None,
    ) -> Any:
        def block(x, drops):
            query, key, value = self._project(x, rotation)
            heads = self._attend(query, key, value, attention_bias)
            return self._finish(x, heads, drops)

        if training and self.gradient_checkpointing:
            drops = [self._repeatable_drop() for _ in range(2)]
            return recomputed(lambda x: block(x, drops), x)
        return block(x, 2 * [lambda y: self._dropped(y, training)])

    def _dropped(self, y, training):
        return y if self.drop is None else self.drop(y, training=training)

    def _repeatable_drop(self):
        if self.drop is None:
            return _keep
        seed = drawn_seed(self.drop.seed_generator)
        return lambda y: keras.random.dropout(y, self.dropout, seed=seed)

    @property
    def projections(self) -> Any:
        """The layers that multiply by a matrix: list of `Dense`."""
        return [self.to_qkv, self.to_out, self.expand, self.contract]

    def prefill(
        self,
        x: Any,
        mask: Any,
        length: int,
        rotation: Any = None,
        window: Any = None,
        run: LayerCalls = PLAIN_CALLS,
    ) -> tuple:
        """Runs a prompt (B, n, d): its output and the layer's KV cache.

        The mask and the rotation are as when called, of the n positions; the
        mask may be `KeyBlocks`. The cache has room for `length`, or is one of
        `kv_cache.make_window`.
        """
        query, key, value = self._project(x, rotation, run)
        if window is None:
            cache = kv_cache.make_cache(key, value, length)
        else:
            cache = kv_cache.make_window(key, value, *window)
        heads = self._attend(query, key, value, mask)
        return self._finish(x, heads, run=run), cache

    def decode(
        self,
        x: Any,
        cache: Any,
        index: Any,
        mask: Any = None,
        rotation: Any = None,
        window: Any = None,
        run: LayerCalls = PLAIN_CALLS,
    ) -> tuple:
        """Runs positions (B, n, d) against the cache that has room for them.

        The first stands at `index`. The mask is (1 or B, n, S), or `None`
        where `index` is an int, n is 1 and all before it is seen; the rest as
        in `prefill`.
        """
        query, key, value = self._project(x, rotation, run)
        place = index
        if window is not None:
            place = kv_cache.window_slot(index, *window)
        cache = kv_cache.write_cache(cache, key, value, place)
        query = query * self.head_dim**-0.5
        heads = kv_cache.attend(query, cache, index, mask)
        return self._finish(x, heads, run=run), cache

    def extend(self, x: Any, cache: Any, mask: Any, rotation: Any) -> Any:
        """Runs the n positions after a prompt at once: (B, n, d).

        The cache is that of the prompt, of U rows, each of which B / U rows
        go on from; the mask is (1 or B, 1, n, S).
        """
        query, key, value = self._project(x, rotation)
        given = mask.shape[-1] - x.shape[1]

        def whole(past, new):
            shape = (-1, self.num_heads, given, self.head_dim)
            past = ops.reshape(past[:, :given], shape)
            past = ops.repeat(past, new.shape[0] // past.shape[0], axis=0)
            return ops.concatenate([ops.cast(past, new.dtype), new], axis=2)

        ((keys, values),) = cache
        heads = self._attend(
            query, whole(keys, key), whole(values, value), mask
        )
        return self._finish(x, heads)

    def _project(self, x, rotation, run=PLAIN_CALLS):
        qkv = run(self.to_qkv, run(self.attention_norm, x))
        query, key, value = run.split_heads(qkv, self.num_heads)
        if self.query_key_norm:
            query, key = run(self.query_norm, query), run(self.key_norm, key)
        if rotation is not None:
            query, key = rotate(query, rotation), rotate(key, rotation)
        return query, key, value

    def _attend(self, query, key, value, mask):
        """Attention of all positions: (B, heads, S, head_dim)."""
        if key.shape[2] == 1:
            # The only key takes all of the attention.
            return value
        query = query * self.head_dim**-0.5
        if isinstance(mask, KeyBlocks):
            return mask.attend(query, key, value)
        # Two plain products: on CPUs several times faster to differentiate
        # than the fused kernel.
        scores = ops.matmul(query, ops.transpose(key, (0, 1, 3, 2)))
        if mask is not None:
            scores = scores + mask
        return ops.matmul(ops.softmax(scores, axis=-1), value)

    def _finish(self, x, heads, drops=(_keep, _keep), run=PLAIN_CALLS):
        heads = run(self.to_out, run.join_heads(heads))
        x = x + self._branch(heads, "attention_scale", drops[0])
        hidden = self._activation(
            run(self.expand, run(self.feed_forward_norm, x))
        )
        return x + self._branch(
            run(self.contract, hidden), "feed_forward_scale", drops[1]
        )

    def _branch(self, y, scale, drop):
        if self.layer_scale is not None:
            y = y * ops.cast(getattr(self, scale), y.dtype)
        return drop(y)
