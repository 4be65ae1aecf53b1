"""One autoregressive transformer over captions and codes, both directions."""

import inspect

import keras
import numpy as np
from keras import layers, ops

from keras_bidalle.generators.image_positions import IMAGE_POSITIONS
from keras_bidalle.generators.lookup import lookup
from keras_bidalle.generators.rotary import RowRotation
from keras_bidalle.generators.row_embedding import RowEmbedding
from keras_bidalle.generators.row_masks import RowMasks
from keras_bidalle.generators.segments import GEN, REF
from keras_bidalle.generators.token_convolution import TokenConvolution
from keras_bidalle.generators.training import GeneratorTraining
from keras_bidalle.generators.transformer_block import TransformerBlock

__all__ = ["GEN", "REF", "BidirectionalTransformer"]


@keras.saving.register_keras_serializable(package="keras_bidalle")
class BidirectionalTransformer(RowEmbedding, GeneratorTraining, keras.Model):
    """Models [caption][image] and [image][caption] rows with the same weights.

    Direction is data: a batch may mix rows of both directions, and one
    program trains on them. Each token has the position that it has in its
    own modality, and a segment embedding that says whether its modality is
    the condition (REF) or the target (GEN). Captions, a pad token for each
    caption position, and codes share one vocabulary, of which each position
    may predict its own modality's part.

    Args:
        text_vocabulary_size: int, V_t, token ids of captions.
        text_length: int, T, the length of a row of caption tokens.
        num_codes: int, K, the size of the image tokenizer's codebook.
        code_shape: tuple (rows, columns) of one picture's codes.
        width: int, channels d of the residual stream.
        depth: int, number of blocks.
        num_heads: int.
        head_dim: int, `width // num_heads` if `None`.
        attention: tuple of str, kinds of attention, repeated over the
            blocks (see `generators.attention_mask`).
        kernel_size: int, side of the window of "conv_like" attention.
        image_positions: str, "learned" or "fixed".
        rotary: bool, turns queries and keys by their place in the caption
            or the grid as well (see `generators.rotary`), which makes
            "the word before" and "the code above" the same everywhere and
            learning several times faster.
        token_kernel_size: int, positions that a short causal convolution
            over the embedded row reaches (see `TokenConvolution`), which
            makes learning which words belong together several times faster
            again; 1 for no convolution.
        segment_embeddings: bool; `False` leaves the direction to the order
            of the row alone, as Bi-directional DALL-E does.
        mask_padding: bool, hides pad tokens from attention. Their ids are
            one a position, so that a model may also do with seeing them.
        condition_dropout: float, the share of training rows whose condition
            is replaced by a learned null token, for guidance in sampling.
        target_weight: float, how many times the target's loss weighs
            against the condition's; 7 gives the weights 7/8 and 1/8.
        feed_forward_width, activation, normalization, query_key_norm,
        layer_scale, use_bias, dropout: see `TransformerBlock`.
        pad_id, start_id, end_id: int, the caption tokens that pad a row,
            stand first in it, and end a caption.

    Call arguments:
        inputs: dict of `text`, int (B, T), rows `[start] words [end]
            [pad]...`; `codes`, int (B, rows, columns) in [0, K);
            `text_to_image`, bool (B,), the direction of each row.

    Returns:
        dict of `text_logits` (B, T - 1, V_t + T), for the caption tokens
        after the first, `image_logits` (B, P, 1, K), for all codes in
        raster order (of an [image][caption] row the first is never
        predicted), both float32, and `kept`, bool (B,), `False` for rows
        whose condition was dropped.

    Example:

    ```python
    generator = BidirectionalTransformer(
        text_vocabulary_size=40, text_length=39, num_codes=128,
        code_shape=(16, 16), width=256, depth=8, num_heads=8,
        attention=("full", "axial_row", "axial_column", "conv_like"),
    )
    generator.compile(keras.optimizers.AdamW(1e-3))
    generator.fit({"text": text, "codes": codes, "text_to_image": direction})
    ```

    Reference:
        L-Verse, arXiv 2111.11133 (segment embeddings); Bi-directional
        DALL-E, arXiv 2112.00384; DALL-E, arXiv 2102.12092, section 2.2 (pad
        tokens, loss weights).
    """

    codes_per_position = 1

    def __init__(
        self,
        text_vocabulary_size,
        text_length,
        num_codes,
        code_shape,
        width,
        depth,
        num_heads,
        head_dim=None,
        attention=("full",),
        kernel_size=5,
        image_positions="learned",
        rotary=False,
        token_kernel_size=1,
        segment_embeddings=True,
        mask_padding=True,
        condition_dropout=0.0,
        target_weight=7.0,
        feed_forward_width=None,
        activation="gelu",
        normalization="layer",
        query_key_norm=False,
        layer_scale=None,
        use_bias=True,
        dropout=0.0,
        pad_id=0,
        start_id=1,
        end_id=2,
        **kwargs,
    ):
        super().__init__(**kwargs)
        _check_sizes(
            text_vocabulary_size=text_vocabulary_size,
            text_length=text_length,
            num_codes=num_codes,
            width=width,
            depth=depth,
            num_heads=num_heads,
        )
        if not 0.0 <= condition_dropout < 1.0:
            raise ValueError(
                "`condition_dropout` must lie in [0, 1). "
                f"Received: condition_dropout={condition_dropout}"
            )
        if image_positions not in IMAGE_POSITIONS:
            raise ValueError(
                f"`image_positions` must be one of "
                f"{', '.join(IMAGE_POSITIONS)}. "
                f"Received: image_positions={image_positions!r}"
            )
        # === Config ===
        self.text_vocabulary_size = text_vocabulary_size
        self.text_length = text_length
        self.num_codes = num_codes
        self.code_shape = tuple(code_shape)
        self.width = width
        self.depth = depth
        self.num_heads = num_heads
        self.head_dim = head_dim
        self.attention = tuple(attention)
        self.kernel_size = kernel_size
        self.image_positions = image_positions
        self.rotary = rotary
        self.token_kernel_size = token_kernel_size
        self.segment_embeddings = segment_embeddings
        self.mask_padding = mask_padding
        self.condition_dropout = condition_dropout
        self.target_weight = target_weight
        self.feed_forward_width = feed_forward_width
        self.activation = activation
        self.normalization = normalization
        self.query_key_norm = query_key_norm
        self.layer_scale = layer_scale
        self.use_bias = use_bias
        self.dropout = dropout
        self.pad_id = pad_id
        self.start_id = start_id
        self.end_id = end_id

        # === Layers ===
        self.grid = self._position_grid()
        self.num_positions = int(np.prod(self.grid))
        self.length = text_length + self.num_positions
        self._row_masks = RowMasks(
            self.attention, depth, text_length, self.grid, kernel_size
        )
        self._row_rotation = (
            RowRotation(text_length, self.grid, head_dim or width // num_heads)
            if rotary
            else None
        )
        dtype = self.dtype_policy
        self.position_layer = IMAGE_POSITIONS[image_positions](
            self.grid, width, dtype=dtype, name="image_positions"
        )
        self.token_convolution = TokenConvolution(
            token_kernel_size, dtype=dtype, name="token_convolution"
        )
        self.blocks = [
            TransformerBlock(
                width,
                num_heads,
                head_dim=head_dim,
                feed_forward_width=feed_forward_width,
                activation=activation,
                normalization=normalization,
                query_key_norm=query_key_norm,
                layer_scale=layer_scale,
                use_bias=use_bias,
                dropout=dropout,
                dtype=dtype,
                name=f"block_{i}",
            )
            for i in range(depth)
        ]
        norm = (
            layers.LayerNormalization(epsilon=1e-5, dtype=dtype, name="norm")
            if normalization == "layer"
            else layers.RMSNormalization(epsilon=1e-6, dtype=dtype, name="norm")
        )
        self.final_norm = norm
        self.dropout_seed = keras.random.SeedGenerator()
        self._create_trackers()
        self.build()

    # What a subclass with several codes a position redefines.

    def _position_grid(self):
        return self.code_shape

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
        self.image_head_bias = self.add_weight(
            shape=(self.num_codes,), initializer="zeros", name="image_head_bias"
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

    def image_logits(self, hidden, stacks):
        """Logits of stacks of codes, each code given those before it.

        Args:
            hidden: tensor (B, n, d), the stream at the positions before.
            stacks: int tensor (B, n, codes_per_position), the true codes.

        Returns:
            float32 tensor (B, n, codes_per_position, K).
        """
        logits = ops.matmul(hidden, self._cast(self.image_head))
        bias = ops.cast(self.image_head_bias, "float32")
        return (ops.cast(logits, "float32") + bias)[..., None, :]

    def sample_codes(self, hidden, draw):
        """Draws the codes of one position.

        Args:
            hidden: tensor (B, d), the stream at the position before.
            draw: function of float32 logits (B, K) and the index of a code
                in its stack to int32 codes (B,).

        Returns:
            int32 tensor (B, codes_per_position).
        """
        return draw(self.image_logits(hidden[:, None], None)[:, 0, 0], 0)[
            :, None
        ]

    # The rest is the same for all.

    def build(self, input_shape=None):
        if self.built:
            return
        normal = keras.initializers.RandomNormal(stddev=0.02)
        d = self.width
        text_classes = self.text_vocabulary_size + self.text_length

        def add(name, *shape, initializer=normal):
            return self.add_weight(
                shape=shape, initializer=initializer, name=name
            )

        self.text_embedding = add("text_embedding", text_classes, d)
        self.text_position_embedding = add(
            "text_position_embedding", self.text_length, d
        )
        if self.segment_embeddings:
            self.segment_embedding = add("segment_embedding", 2, d)
        if self.condition_dropout:
            # What stands for "no condition": [text, image].
            self.null_embedding = add("null_embedding", 2, d)
        self.text_head = add("text_head", d, text_classes)
        self.text_head_bias = add(
            "text_head_bias", text_classes, initializer="zeros"
        )
        self._build_image(normal)
        self.position_layer.build(None)
        self.token_convolution.build((None, self.length, d))
        for block in self.blocks:
            block.build((None, self.length, d))
        self.final_norm.build((None, self.length, d))
        self.built = True

    def _cast(self, weight):
        return ops.cast(weight, self.compute_dtype)

    def layer_masks(self, text_to_image, hidden_keys=None):
        """Additive masks, one a block.

        Args:
            text_to_image: bool, the direction of all rows, or a bool tensor
                (B,) with one for each.
            hidden_keys: bool tensor (B, S), positions that no one may look
                at, or `None`.

        Returns:
            list of tensors broadcastable to (B, heads, S, S).
        """
        return self._row_masks.by_layer(
            text_to_image, hidden_keys, self.compute_dtype
        )

    def rotation(self, text_to_image):
        """Cosines and sines that turn queries and keys, `None` if none do.

        Args:
            text_to_image: bool, the direction of all rows, or a bool tensor
                (B,) with one for each.

        Returns:
            Pair of tensors (1 or B, 1, S, a), or `None`.
        """
        if self._row_rotation is None:
            return None
        return self._row_rotation.tables(text_to_image, self.compute_dtype)

    def call(self, inputs, training=None):
        text, codes = inputs["text"], inputs["codes"]
        direction = ops.cast(inputs["text_to_image"], "bool")
        batch = ops.shape(text)[0]
        stacks = self.to_positions(codes)

        text_part, image_part, kept = self._embed_parts(
            text, stacks, direction, training
        )
        hidden_keys = None
        if self.mask_padding:
            pad = ops.cast(text, "int32") == self.pad_id
            seen = ops.zeros((batch, self.num_positions), "bool")
            hidden_keys = self._in_order(direction, pad, seen)
        x = self._in_order(direction, text_part, image_part)
        x = self.token_convolution(x)
        masks = self.layer_masks(direction, hidden_keys)
        rotation = self.rotation(direction)
        for block, mask in zip(self.blocks, masks, strict=True):
            x = block(
                x, attention_bias=mask, rotation=rotation, training=training
            )
        x = self.final_norm(x)

        # Each token is predicted at the position before it.
        length, num = self.text_length, self.num_positions
        rows = direction[:, None, None]
        before_text = ops.where(rows, x[:, : length - 1], x[:, num:-1])
        # The first code of an [image][caption] row has nothing before it;
        # its place is filled and never counts.
        before_image = ops.where(
            rows,
            x[:, length - 1 : -1],
            ops.concatenate([x[:, :1], x[:, : num - 1]], axis=1),
        )
        return {
            "text_logits": self.text_logits(before_text),
            "image_logits": self.image_logits(before_image, stacks),
            "kept": kept,
        }

    def text_logits(self, hidden):
        """Logits of captions' tokens and pads: float32 (..., V_t + T)."""
        logits = ops.matmul(hidden, self._cast(self.text_head))
        bias = ops.cast(self.text_head_bias, "float32")
        return ops.cast(logits, "float32") + bias

    @staticmethod
    def _in_order(direction, text_part, image_part):
        """Joins the parts of each row in its direction's order."""
        rows = ops.reshape(direction, (-1,) + (1,) * (text_part.ndim - 1))
        return ops.where(
            rows,
            ops.concatenate([text_part, image_part], axis=1),
            ops.concatenate([image_part, text_part], axis=1),
        )

    def get_config(self):
        config = super().get_config()
        config.update({name: getattr(self, name) for name in _CONFIG})
        return config


# Every argument is kept under its own name.
_CONFIG = tuple(inspect.signature(BidirectionalTransformer.__init__).parameters)
_CONFIG = _CONFIG[1:-1]  # All but `self` and `kwargs`.


def _check_sizes(**sizes):
    for name, value in sizes.items():
        if not isinstance(value, int) or value < 1:
            raise ValueError(
                f"`{name}` must be a positive integer. "
                f"Received: {name}={value!r}"
            )
