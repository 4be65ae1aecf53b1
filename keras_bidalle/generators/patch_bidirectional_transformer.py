"""A bidirectional transformer whose image positions are patches of codes."""

import keras
from keras import layers, ops

from keras_bidalle.backend.lookup import lookup
from keras_bidalle.generators.bidirectional_transformer import (
    BidirectionalTransformer,
)
from keras_bidalle.transformer.layer_calls import PLAIN_CALLS


@keras.saving.register_keras_serializable(package="keras_bidalle")
class PatchBidirectionalTransformer(BidirectionalTransformer):
    """Groups p x p neighbouring codes into one position of the row.

    The row shortens p^2-fold on its image side, which is where the cost of
    a generator lies, and nothing is lost: within a patch the codes are
    predicted one after the other, by a small network that sees the stream
    and the codes of the patch before it. It is the division of work of the
    RQ-Transformer (a spatial and a depth transformer), with space in the
    place of residual depth and a two-layer network in the place of the depth
    transformer.

    Args:
        patch_size: int, p; both sides of `code_shape` are multiples of it.
        patch_head_width: int, hidden channels of the network that predicts
            the codes of a patch.
        *args, **kwargs: as of `BidirectionalTransformer`. The kinds of
            attention are over the grid of patches.

    Returns (when called):
        as `BidirectionalTransformer`, with `image_logits` of shape
        (B, P / p^2, p^2, K).

    Reference:
        RQ-Transformer, arXiv 2203.01941, section 3.2.
    """

    def __init__(self, *args, patch_size=2, patch_head_width=192, **kwargs):
        code_shape = kwargs.get("code_shape", args[3] if len(args) > 3 else ())
        if (
            not isinstance(patch_size, int)
            or patch_size < 1
            or any(side % patch_size for side in code_shape)
        ):
            raise ValueError(
                "`patch_size` must be a positive integer that divides both "
                f"sides of `code_shape`. Received: patch_size={patch_size!r}, "
                f"code_shape={tuple(code_shape)}"
            )
        # Keras tracks attributes only once its own constructor has run.
        self._patch = (patch_size, patch_head_width)
        super().__init__(*args, **kwargs)

    @property
    def patch_size(self):
        return self._patch[0]

    @property
    def patch_head_width(self):
        return self._patch[1]

    @property
    def codes_per_position(self):
        return self.patch_size**2

    def _position_grid(self):
        return tuple(side // self.patch_size for side in self.code_shape)

    def _build_image(self, normal):
        c, k, d = self.codes_per_position, self.num_codes, self.width
        h = self.patch_head_width

        def add(name, *shape, initializer=normal):
            return self.add_weight(
                shape=shape, initializer=initializer, name=name
            )

        # One table for each place in the patch, one after the other.
        self.image_embedding = add("image_embedding", c * k, d)
        self.patch_head_in = add("patch_head_in", d, c * h)
        self.patch_place_embedding = add("patch_place_embedding", c, h)
        # Row i of a place's table: what its code i tells each later place.
        self.patch_context_embedding = add(
            "patch_context_embedding", (c - 1) * k, c * h
        )
        fan_in = keras.initializers.RandomNormal(stddev=h**-0.5)
        self.patch_head_mixing = add(
            "patch_head_mixing", c, h, h, initializer=fan_in
        )
        self.patch_head_norm = layers.RMSNormalization(
            epsilon=1e-6, dtype=self.dtype_policy, name="patch_head_norm"
        )
        self.patch_head_norm.build((None, c, h))
        self.image_head = add("image_head", h, k)
        if self.head_bias:
            self.image_head_bias = add(
                "image_head_bias", c, k, initializer="zeros"
            )

    def to_positions(self, codes):
        rows, columns = self.grid
        p = self.patch_size
        codes = ops.reshape(ops.cast(codes, "int32"), (-1, rows, p, columns, p))
        codes = ops.transpose(codes, (0, 1, 3, 2, 4))
        return ops.reshape(codes, (-1, rows * columns, p * p))

    def from_positions(self, stacks):
        rows, columns = self.grid
        p = self.patch_size
        stacks = ops.reshape(stacks, (-1, rows, columns, p, p))
        stacks = ops.transpose(stacks, (0, 1, 3, 2, 4))
        return ops.reshape(stacks, (-1, *self.code_shape))

    def _places(self, count):
        return ops.arange(count, dtype="int32") * self.num_codes

    def embed_codes(self, stacks):
        places = self._places(self.codes_per_position)
        vectors = lookup(self._cast(self.image_embedding), stacks + places)
        return ops.sum(vectors, axis=-2)  # (B, n, c, d) -> (B, n, d)

    def _head_start(self, hidden):
        """What the stream alone tells each place: (..., c, h)."""
        start = ops.matmul(hidden, self._cast(self.patch_head_in))
        start = ops.reshape(
            start,
            (
                -1,
                *hidden.shape[1:-1],
                self.codes_per_position,
                self.patch_head_width,
            ),
        )
        return start + self._cast(self.patch_place_embedding)

    def _context(self, place, codes):
        """What codes (...,) at a place tell each later one: (..., c, h)."""
        vectors = lookup(
            self._cast(self.patch_context_embedding),
            codes + place * self.num_codes,
        )
        return ops.reshape(
            vectors,
            (
                -1,
                *codes.shape[1:],
                self.codes_per_position,
                self.patch_head_width,
            ),
        )

    def _head(self, start, place):
        """Logits of one place from what it knows: (B, ..., h) to (..., K)."""
        x = ops.square(ops.relu(start))
        x = start + ops.matmul(x, self._cast(self.patch_head_mixing)[place])
        x = self.patch_head_norm(x)
        logits = ops.matmul(x, self._cast(self.image_head))
        logits = ops.cast(logits, "float32")
        if not self.head_bias:
            return logits
        return logits + ops.cast(self.image_head_bias, "float32")[place]

    def image_logits(self, hidden, stacks, training=None):
        known = self._head_start(hidden)
        logits = []
        for place in range(self.codes_per_position):
            logits.append(self._head(known[..., place, :], place))
            if place + 1 < self.codes_per_position:
                known = known + self._context(place, stacks[..., place])
        return ops.stack(logits, axis=-2)

    def sample_codes(self, hidden, draw, run=PLAIN_CALLS):
        known = self._head_start(hidden)
        codes = []
        for place in range(self.codes_per_position):
            code = draw(self._head(known[:, place], place), place)
            codes.append(code)
            if place + 1 < self.codes_per_position:
                # Under guidance `hidden` holds each row twice.
                repeats = ops.shape(known)[0] // ops.shape(code)[0]
                known = known + self._context(place, ops.tile(code, (repeats,)))
        return ops.stack(codes, axis=-1)

    def get_config(self):
        config = super().get_config()
        config.update(
            {
                "patch_size": self.patch_size,
                "patch_head_width": self.patch_head_width,
            }
        )
        return config
