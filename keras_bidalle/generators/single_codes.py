"""One code a position: how codes are laid out, embedded and predicted."""

from keras import ops

from keras_bidalle.backend.lookup import lookup
from keras_bidalle.transformer.layer_calls import PLAIN_CALLS


class SingleCodes:
    """The image side of a generator with one code at each position.

    Mixed into `BidirectionalTransformer`; what a subclass with several codes
    a position redefines.
    """

    codes_per_position = 1

    def _position_grid(self):
        # Codes without a grid, of several levels say, are one long row.
        return (
            self.code_shape
            if len(self.code_shape) > 1
            else (
                1,
                *self.code_shape,
            )
        )

    def _build_image(self, normal):
        self.image_embedding = self.add_weight(
            shape=(self.num_codes, self.width),
            initializer=normal,
            name="image_embedding",
        )
        self.image_head = self.add_weight(
            shape=(self.width, self.num_codes),
            initializer=normal,
            name="image_head",
        )
        if self.head_bias:
            self.image_head_bias = self.add_weight(
                shape=(self.num_codes,),
                initializer="zeros",
                name="image_head_bias",
            )

    def to_positions(self, codes):
        """Lays a picture's codes out as stacks, one a position.

        Args:
            codes: int tensor (B, *code_shape).

        Returns:
            int32 tensor (B, P, codes_per_position).
        """
        return ops.reshape(
            ops.cast(codes, "int32"), (-1, self.num_positions, 1)
        )

    def from_positions(self, stacks):
        """The inverse of `to_positions`: int tensor (B, *code_shape)."""
        return ops.reshape(stacks, (-1, *self.code_shape))

    def embed_codes(self, stacks):
        """Embeds stacks of codes (B, n, codes_per_position): (B, n, d)."""
        return lookup(self._cast(self.image_embedding), stacks[..., 0])

    def image_logits(self, hidden, stacks, training=None):
        """Logits of stacks of codes, each code given those before it.

        Args:
            hidden: tensor (B, n, d), the stream at the positions before.
            stacks: int tensor (B, n, codes_per_position), the true codes.
            training: bool.

        Returns:
            float32 tensor (B, n, codes_per_position, K).
        """
        logits = ops.matmul(hidden, self._cast(self.image_head))
        logits = ops.cast(logits, "float32")
        if self.head_bias:
            logits = logits + ops.cast(self.image_head_bias, "float32")
        return logits[..., None, :]

    @property
    def decoded_blocks(self):
        """What runs at every step of a decode loop."""
        return self.blocks

    def sample_codes(self, hidden, draw, run=PLAIN_CALLS):
        """Draws the codes of one position.

        Args:
            hidden: tensor (B, d), the stream at the position before.
            draw: function of float32 logits (B, K) and the index of a code
                in its stack to int32 codes (B,).
            run: `LayerCalls`, how layers are called.

        Returns:
            int32 tensor (B, codes_per_position).
        """
        return draw(self.image_logits(hidden[:, None], None)[:, 0, 0], 0)[
            :, None
        ]
