"""One autoregressive transformer over captions and codes, both directions."""

import inspect

import keras
import numpy as np
from keras import layers, ops

from keras_bidalle.backend.noise import NoiseSeedGenerator
from keras_bidalle.generators.generation import Generation
from keras_bidalle.generators.row_embedding import RowEmbedding
from keras_bidalle.generators.scoring import Scoring
from keras_bidalle.generators.single_codes import SingleCodes
from keras_bidalle.generators.streaming import Streaming
from keras_bidalle.generators.training import GeneratorTraining
from keras_bidalle.presets.mixin import PresetMixin
from keras_bidalle.transformer.image_positions import IMAGE_POSITIONS
from keras_bidalle.transformer.rotary import RowRotation
from keras_bidalle.transformer.row_masks import RowMasks
from keras_bidalle.transformer.token_convolution import TokenConvolution
from keras_bidalle.transformer.transformer_block import TransformerBlock
from keras_bidalle.validation import check_positive


@keras.saving.register_keras_serializable(package="keras_bidalle")
class BidirectionalTransformer(
    PresetMixin,
    Generation,
    Streaming,
    Scoring,
    RowEmbedding,
    SingleCodes,
    GeneratorTraining,
    keras.Model,
):
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
        code_shape: tuple (rows, columns) of one picture's codes, or (N,) for
            codes without a grid.
        width: int, channels d of the residual stream.
        depth: int, number of blocks.
        num_heads: int.
        head_dim: int, `width // num_heads` if `None`.
        attention: tuple of str, kinds of attention, repeated over the
            blocks (see `generators.attention_mask`).
        kernel_size: int, side of the window of convolutional attention.
        image_positions: str, "learned" (a vector a row and one a column),
            "learned_places" (a vector a place) or "fixed".
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
        pads_see_themselves: bool, whether a hidden pad token sees itself.
        sparse_captioning_sees_pads: bool, leaves pads of [image][caption]
            rows in sight in all layers but those of full attention.
        condition_dropout: float, the share of training rows whose condition
            is replaced by a learned null token, for guidance in sampling.
        target_weight: float, how many times the target's loss weighs
            against the condition's; 7 gives the weights 7/8 and 1/8.
        feed_forward_width, activation, normalization, query_key_norm,
        layer_scale, use_bias, dropout: see `TransformerBlock`.
        pad_id, start_id, end_id: int, the caption tokens that pad a row,
            stand first in it, and end a caption. `pad_id` is `None` where
            every token means something, a class for one.
        pad_tokens: bool, gives each caption position a pad token of its
            own, after the V_t tokens; without them `pad_id` is a token like
            any other, which is never predicted.
        qkv_bias: bool, see `TransformerBlock`.
        head_bias: bool, biases of the layers that predict.
        predict_start: bool, has the first token of a caption that follows a
            picture predicted like any other, though it is always the same.
        gradient_checkpointing: bool, see `TransformerBlock`. Gradients are
            the same; deep models train in far less memory.

    Call arguments:
        inputs: dict of `text`, int (B, T), rows `[start] words [end]
            [pad]...`; `codes`, int (B, rows, columns) in [0, K);
            `text_to_image`, bool (B,), the direction of each row.

    Returns:
        dict of `text_logits` (B, T - 1, V_t + T), or (B, T - 1, V_t) without
        `pad_tokens`, for the caption tokens after the first (for all T with
        `predict_start`, of which the first of a [caption][image] row never
        counts), `image_logits` (B, P, 1, K), for all codes in raster order
        (of an [image][caption] row the first is never predicted), both
        float32, and `kept`, bool (B,), `False` for rows whose condition was
        dropped. `generators.joint_logits` has them in the row's order.

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
        pad_tokens=True,
        qkv_bias=False,
        head_bias=True,
        predict_start=False,
        pads_see_themselves=True,
        sparse_captioning_sees_pads=False,
        gradient_checkpointing=False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_positive(
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
        self.pad_tokens = pad_tokens
        self.qkv_bias = qkv_bias
        self.head_bias = head_bias
        self.predict_start = predict_start
        self.gradient_checkpointing = gradient_checkpointing
        self.pads_see_themselves = pads_see_themselves
        self.sparse_captioning_sees_pads = sparse_captioning_sees_pads

        # === Layers ===
        self.grid = self._position_grid()
        self.num_positions = int(np.prod(self.grid))
        self.length = text_length + self.num_positions
        self._row_masks = RowMasks(
            self.attention,
            depth,
            text_length,
            self.grid,
            kernel_size,
            pads_see_themselves=pads_see_themselves,
            shown_in_captioning=(
                [kind for kind in self.attention if kind != "full"]
                if sparse_captioning_sees_pads
                else ()
            ),
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
            self._block(f"block_{i}", num_heads, head_dim) for i in range(depth)
        ]
        self.final_norm = self._make_final_norm()
        self.dropout_seed = NoiseSeedGenerator()
        self._create_trackers()
        self.build()

    def _block(self, name, num_heads, head_dim):
        return TransformerBlock(
            self.width,
            num_heads,
            head_dim=head_dim,
            feed_forward_width=self.feed_forward_width,
            activation=self.activation,
            normalization=self.normalization,
            query_key_norm=self.query_key_norm,
            layer_scale=self.layer_scale,
            use_bias=self.use_bias,
            qkv_bias=self.qkv_bias,
            dropout=self.dropout,
            gradient_checkpointing=self.gradient_checkpointing,
            dtype=self.dtype_policy,
            name=name,
        )

    def _norm(self, name):
        kind, epsilon = (
            (layers.LayerNormalization, 1e-5)
            if self.normalization == "layer"
            else (layers.RMSNormalization, 1e-6)
        )
        return kind(epsilon=epsilon, dtype=self.dtype_policy, name=name)

    def _make_final_norm(self):
        """The layer between the blocks and what predicts from them."""
        return self._norm("norm")

    def build(self, input_shape=None):
        if self.built:
            return
        normal = keras.initializers.RandomNormal(stddev=0.02)
        d = self.width
        text_classes = self.text_classes

        def add(name, *shape, initializer=normal):
            return self.add_weight(
                shape=shape, initializer=initializer, name=name
            )

        self._build_text(add)
        self.text_head = add("text_head", d, text_classes)
        if self.head_bias:
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

    def layer_masks(self, text_to_image, hidden_keys=None, count=None):
        """Additive masks, one a block: see `RowMasks.by_layer`."""
        return self._row_masks.by_layer(
            text_to_image, hidden_keys, self.compute_dtype, count
        )

    def layer_mask_rows(self, index, text_to_image, hidden_keys=None):
        """One position's masks, one a block: see `RowMasks.rows_by_layer`."""
        return self._row_masks.rows_by_layer(
            index, text_to_image, hidden_keys, self.compute_dtype
        )

    def layer_windows(self, text_to_image):
        """How far back layers look, one a block: see `RowMasks.windows`."""
        return self._row_masks.windows(text_to_image)

    def rotation(self, text_to_image):
        """What turns queries and keys: see `RowRotation.tables`, or `None`."""
        if self._row_rotation is None:
            return None
        return self._row_rotation.tables(text_to_image, self.compute_dtype)

    def call(self, inputs, training=None):
        stacks = self.to_positions(inputs["codes"])
        before_text, before_image, kept = self.hidden_states(
            inputs["text"], stacks, inputs["text_to_image"], training
        )
        return {
            "text_logits": self.text_logits(before_text),
            "image_logits": self.image_logits(before_image, stacks, training),
            "kept": kept,
        }

    def hidden_states(self, text, stacks, text_to_image, training=None):
        """The stream from which each token is predicted.

        Args:
            text, stacks, text_to_image, training: as of `stream`.

        Returns:
            Tuple of tensors (B, T - 1, d), for the caption tokens after the
            first (with `predict_start` (B, T, d), for all), and (B, P, d),
            for all image positions, and of `kept`, bool (B,) (see the class).
        """
        direction = ops.cast(text_to_image, "bool")
        x, kept = self.stream(text, stacks, direction, training)
        # Each token is predicted at the position before it. What begins a row
        # has nothing before it; its place is filled and never counts.
        filled = ops.concatenate([x[:, :1], x[:, :-1]], axis=1)
        length, num = self.text_length, self.num_positions
        first = 0 if self.predict_start else 1
        rows = direction[:, None, None]
        before_text = ops.where(
            rows, filled[:, first:length], filled[:, num + first :]
        )
        before_image = ops.where(rows, filled[:, length:], filled[:, :num])
        return before_text, before_image, kept

    def stream(self, text, stacks, text_to_image, training=None):
        """Runs rows through all blocks.

        Args:
            text: int tensor (B, T).
            stacks: int tensor (B, P, codes_per_position).
            text_to_image: bool tensor (B,), the direction of each row.
            training: bool.

        Returns:
            Tuple of the normalised stream in the rows' own order, tensor
            (B, T + P, d), and of `kept`, bool (B,) (see the class).
        """
        direction = ops.cast(text_to_image, "bool")
        text_part, image_part, kept = self._embed_parts(
            text, stacks, direction, training
        )
        hidden_keys = None
        if self.mask_padding:
            pad = self.is_padding(text)
            seen = ops.zeros((ops.shape(text)[0], self.num_positions), "bool")
            hidden_keys = self._in_order(direction, pad, seen)
        x = self._in_order(direction, text_part, image_part)
        x = self.token_convolution(x)
        masks = self.layer_masks(direction, hidden_keys)
        rotation = self.rotation(direction)
        for block, mask in zip(self.blocks, masks, strict=True):
            x = block(
                x, attention_bias=mask, rotation=rotation, training=training
            )
        return self.final_norm(x), kept

    def text_logits(self, hidden):
        """Logits of captions' tokens and pads: float32 (..., V_t + T)."""
        logits = ops.matmul(hidden, self._cast(self.text_head))
        logits = ops.cast(logits, "float32")
        if not self.head_bias:
            return logits
        return logits + ops.cast(self.text_head_bias, "float32")

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
