"""A transformer over places and, in each, over the depths of its codes."""

import keras
import numpy as np
from keras import layers, ops

from keras_bidalle.backend.lookup import lookup
from keras_bidalle.backend.noise import NoiseSeedGenerator
from keras_bidalle.generators.bidirectional_transformer import (
    BidirectionalTransformer,
)
from keras_bidalle.generators.stochastic_codes import (
    codebooks_of,
    draw_stacks,
    stack_losses,
)
from keras_bidalle.transformer.layer_calls import PLAIN_CALLS
from keras_bidalle.transformer.row_masks import masked_score

_EMBEDDINGS = ("learned", "codebook")


@keras.saving.register_keras_serializable(package="keras_bidalle")
class RQTransformer(BidirectionalTransformer):
    """Generates stacks of D residual codes a position, and captions.

    A place of the picture is one position of the row, however deep its codes
    are: the body, the transformer over the row, sees the sum of their
    embeddings. The head, a second, causal transformer, runs over the D
    depths of one position: it begins with what the body says of the
    position, and then sees the codes chosen so far. Pictures and captions
    share the body in both directions, as in `BidirectionalTransformer`.

    The condition is a caption or, with `text_length=1`, `pad_id=None`,
    `pad_tokens=False` and `mask_padding=False`, a class, whose number is the
    row's one token.

    With `code_dim`, the generator keeps a frozen copy of its tokenizer's
    codebooks (see `use_codebooks`), from which codes are embedded where
    `body_embedding` or `head_embedding` says so. It can then also be trained
    on `latents` in the place of `codes`: in each step, stacks are drawn at
    `code_temperature` from the latents, and the odds they were drawn with are
    the targets. Evaluation takes the nearest codes, drawn and target.

    Args:
        code_shape: tuple (rows, columns, D) of one picture's codes.
        head_depth: int, number of blocks of the head.
        head_num_heads: int, `num_heads` if `None`.
        body_embedding: str, "learned" or "codebook": what the body sees of
            a code.
        head_embedding: str, "learned" or "codebook": what the head does.
            Where both are learned, they are the same table.
        shared_embedding: bool, whether the depths share one learned table.
        shared_classifier: bool, whether the depths share one classifier.
        cumulative_depth_context: bool, whether the head sees, at each depth,
            the sum of the codes before it, or the last of them only.
        code_dim: int, C, the channels of the tokenizer's codes; `None` for
            a generator without its codebooks.
        shared_codebook: bool, whether the tokenizer has one codebook for all
            depths.
        code_temperature: float, above 0, tau of the drawn codes and their
            odds.
        *args, **kwargs: as of `BidirectionalTransformer`; `depth` is that of
            the body. `target_weight=9` gives the published weights, 0.9 for
            pictures and 0.1 for captions.

    Call arguments:
        inputs: dict as of `BidirectionalTransformer`, with `codes` of shape
            (B, rows, columns, D), or with `latents` in their place: float32
            (B, rows, columns, C), what the tokenizer quantizes.

    Returns:
        dict as of `BidirectionalTransformer`, with `image_logits` of shape
        (B, P, D, K). Given `latents`, it has in its place `image_hidden`
        (B, P, D, d), what the classifiers see, and `stacks`, int32
        (B, P, D): logits are then made inside the loss, a depth at a time.

    Example:

    ```python
    generator = keras_bidalle.generators.RQTransformer(
        text_vocabulary_size=1000, text_length=1, num_codes=16384,
        code_shape=(8, 8, 4), width=1536, depth=12, num_heads=24,
        body_embedding="codebook", head_embedding="codebook", code_dim=256,
        pad_id=None, pad_tokens=False, mask_padding=False,
    )
    generator.use_codebooks(tokenizer)
    generator.compile(keras.optimizers.AdamW(5e-4))
    generator.fit(
        {"text": classes, "latents": latents, "text_to_image": directions}
    )
    codes = generator.generate_codes(classes, top_k=[[1024, 512, 256, 128]])
    ```

    Reference:
        [Autoregressive Image Generation using Residual
        Quantization](https://arxiv.org/abs/2203.01941), Sec. 3.2.
    """

    def __init__(
        self,
        *args,
        head_depth=4,
        head_num_heads=None,
        body_embedding="learned",
        head_embedding="learned",
        shared_embedding=True,
        shared_classifier=True,
        cumulative_depth_context=True,
        code_dim=None,
        shared_codebook=True,
        code_temperature=0.5,
        **kwargs,
    ):
        _check(
            head_depth=head_depth,
            body_embedding=body_embedding,
            head_embedding=head_embedding,
            code_dim=code_dim,
            code_temperature=code_temperature,
        )
        # Before the base's constructor, which builds.
        self.head_depth = head_depth
        self.head_num_heads = head_num_heads
        self.body_embedding = body_embedding
        self.head_embedding = head_embedding
        self.shared_embedding = shared_embedding
        self.shared_classifier = shared_classifier
        self.cumulative_depth_context = cumulative_depth_context
        self.code_dim = code_dim
        self.shared_codebook = shared_codebook
        self.code_temperature = code_temperature
        # Latents stay float32 until they are compared with codes.
        super().__init__(*args, autocast=False, **kwargs)

    @property
    def codes_per_position(self):
        return self.code_shape[2]

    def _position_grid(self):
        if len(self.code_shape) != 3 or any(n < 1 for n in self.code_shape):
            raise ValueError(
                "`code_shape` must be (rows, columns, depth). "
                f"Received: code_shape={self.code_shape}"
            )
        return self.code_shape[:2]

    def _make_final_norm(self):
        # The head goes on from the stream as it is; captions are predicted
        # behind a norm of their own.
        return layers.Identity(dtype=self.dtype_policy, name="no_norm")

    def _build_image(self, normal):
        d, k, c = self.width, self.num_codes, self.codes_per_position
        kinds = (self.body_embedding, self.head_embedding)
        self.code_seed = NoiseSeedGenerator()

        def add(name, *shape, initializer=normal):
            return self.add_weight(
                shape=shape, initializer=initializer, name=name
            )

        def projection(name):
            layer = layers.Dense(d, dtype=self.dtype_policy, name=name)
            layer.build((None, None, self.code_dim))
            return layer

        if self.code_dim is not None:
            self.codebooks = self.add_weight(
                shape=(1 if self.shared_codebook else c, k, self.code_dim),
                initializer="zeros",
                trainable=False,
                dtype="float32",
                autocast=False,
                aggregation="only_first_replica",
                name="codebooks",
            )
        if "learned" in kinds:
            tables = 1 if self.shared_embedding else c
            self.image_embedding = add("image_embedding", tables, k, d)
        if kinds[0] == "codebook":
            self.body_projection = projection("body_projection")
        if kinds[1] == "codebook":
            self.head_projection = projection("head_projection")
        self.depth_embedding = add("depth_embedding", c, d)
        self.head_blocks = [
            self._block(
                f"head_block_{i}",
                self.head_num_heads or self.num_heads,
                self.head_dim,
            )
            for i in range(self.head_depth)
        ]
        for block in self.head_blocks:
            block.build((None, c, d))
        self.image_head_norm = self._norm("image_head_norm")
        self.image_head_norm.build((None, c, d))
        heads = 1 if self.shared_classifier else c
        self.image_head = add("image_head", heads, d, k)
        if self.head_bias:
            self.image_head_bias = add(
                "image_head_bias", heads, k, initializer="zeros"
            )
        self.text_norm = self._norm("text_norm")
        self.text_norm.build((None, None, d))

    def use_codebooks(self, tokenizer):
        """Takes over the codebooks of a tokenizer, which stay as they are.

        Args:
            tokenizer: `ImageTokenizer` with a `ResidualQuantizer`, such a
                quantizer, or a float array (K, C) or (D, K, C).

        Raises:
            ValueError: if this generator has no `code_dim`, or was made for
                other codebooks.
        """
        if self.code_dim is None:
            raise ValueError(
                "`use_codebooks` needs a generator that was made with "
                "`code_dim`, which this one was not."
            )
        found = codebooks_of(tokenizer)
        wanted = tuple(self.codebooks.shape)
        if len(found) > wanted[0] == 1 and not np.ptp(found, axis=0).any():
            found = found[:1]
        if len(found) == 1:
            found = np.repeat(found, wanted[0], axis=0)
        if found.shape != wanted:
            raise ValueError(
                f"`tokenizer` must have codebooks of shape {wanted} "
                "(codebooks, codes, channels), as this generator was made "
                f"for. Received: {found.shape}"
            )
        self.codebooks.assign(found)

    def fit(self, *args, **kwargs):
        """Trains, as any Keras model, on `codes` or on `latents`."""
        if self.code_dim is not None and not np.any(
            ops.convert_to_numpy(self.codebooks)
        ):
            raise ValueError(
                "This generator has no codebooks yet. Call `use_codebooks` "
                "with its tokenizer before `fit`."
            )
        return super().fit(*args, **kwargs)

    def to_positions(self, codes):
        return ops.reshape(
            ops.cast(codes, "int32"),
            (-1, self.num_positions, self.codes_per_position),
        )

    def _vectors(self, kind, codes, place=None):
        """Embeds codes before any projection.

        Args:
            kind: str, "learned" or "codebook".
            codes: int tensor (..., m) of the first m depths, or (...,) of
                one depth, the `place`.

        Returns:
            tensor (..., m, d or C) or (..., d or C).
        """
        table = self.codebooks if kind == "codebook" else self.image_embedding
        count, k, channels = table.shape
        if count > 1:
            if place is None:
                place = ops.arange(codes.shape[-1], dtype="int32")
            codes = codes + place * k
        table = ops.reshape(self._cast(table), (-1, channels))
        return lookup(table, codes)

    def embed_codes(self, stacks):
        x = ops.sum(self._vectors(self.body_embedding, stacks), axis=-2)
        if self.body_embedding == "codebook":
            x = self.body_projection(x)
        return x

    def _project_context(self, x):
        if self.head_embedding == "codebook":
            x = self.head_projection(x)
        return x

    def head_states(self, hidden, stacks, training=None):
        """What the classifiers see: tensor (B, n, D, d).

        Args:
            hidden: tensor (B, n, d), the stream at the positions before.
            stacks: int tensor (B, n, D), the true codes.
            training: bool.
        """
        n, depth = hidden.shape[1], self.codes_per_position
        x = hidden[:, :, None]
        if depth > 1:
            known = self._vectors(self.head_embedding, stacks[..., :-1])
            if self.cumulative_depth_context:
                known = ops.cumsum(known, axis=-2)
            x = ops.concatenate([x, self._project_context(known)], axis=-2)
        x = x + self._cast(self.depth_embedding)
        # Every position by itself: (B, n, D, d) -> (B n, D, d).
        x = ops.reshape(x, (-1, depth, self.width))
        mask = self._depth_mask()
        for block in self.head_blocks:
            x = block(x, attention_bias=mask, training=training)
        x = self.image_head_norm(x)
        return ops.reshape(x, (-1, n, depth, self.width))

    def _depth_mask(self):
        depth = self.codes_per_position
        score = masked_score(self.compute_dtype)
        mask = np.triu(np.full((depth, depth), score, "float32"), 1)
        return ops.convert_to_tensor(mask, self.compute_dtype)[None, None]

    def image_logits(self, hidden, stacks, training=None):
        x = self.head_states(hidden, stacks, training)
        kernel = self._cast(self.image_head)
        if self.shared_classifier:
            logits = ops.matmul(x, kernel[0])
        else:
            logits = ops.einsum("bncd,cdk->bnck", x, kernel)
        return ops.cast(logits, "float32") + self._head_biases()

    def _head_biases(self):
        """float32 tensor (1 or D, K), zeros without `head_bias`."""
        if not self.head_bias:
            return ops.zeros(self.image_head.shape[::2], "float32")
        return ops.cast(self.image_head_bias, "float32")

    @property
    def decoded_blocks(self):
        return [*self.blocks, *self.head_blocks]

    def sample_codes(self, hidden, draw, run=PLAIN_CALLS):
        depth = self.codes_per_position
        places = self._cast(self.depth_embedding)
        kernel = self._cast(self.image_head)
        bias = self._head_biases()
        x = (hidden + places[0])[:, None]
        codes, caches, known = [], [None] * self.head_depth, 0.0
        for place in range(depth):
            for i, block in enumerate(self.head_blocks):
                if place == 0:
                    x, caches[i] = block.prefill(x, None, depth, run=run)
                else:
                    x, caches[i] = block.decode(x, caches[i], place, run=run)
            which = 0 if self.shared_classifier else place
            logits = ops.matmul(
                run(self.image_head_norm, x)[:, 0], kernel[which]
            )
            codes.append(draw(ops.cast(logits, "float32") + bias[which], place))
            if place + 1 < depth:
                vectors = self._vectors(self.head_embedding, codes[-1], place)
                if self.cumulative_depth_context:
                    vectors = known = known + vectors
                # Under guidance `hidden` holds each row twice.
                repeats = ops.shape(hidden)[0] // ops.shape(vectors)[0]
                x = self._project_context(vectors)[:, None]
                x = ops.tile(x, (repeats, 1, 1)) + places[place + 1]
        return ops.stack(codes, axis=-1)

    def text_logits(self, hidden):
        return super().text_logits(self.text_norm(hidden))

    def call(self, inputs, training=None):
        if "latents" not in inputs:
            return super().call(inputs, training=training)
        stacks = draw_stacks(
            self._flat_latents(inputs),
            ops.convert_to_tensor(self.codebooks),
            self.codes_per_position,
            self.code_temperature if training else None,
            self.code_seed,
        )
        stacks = self.to_positions(stacks)
        before_text, before_image, kept = self.hidden_states(
            inputs["text"], stacks, inputs["text_to_image"], training
        )
        return {
            "text_logits": self.text_logits(before_text),
            "image_hidden": self.head_states(before_image, stacks, training),
            "stacks": stacks,
            "kept": kept,
        }

    def _flat_latents(self, inputs):
        """The latents of all positions: float32 (B P, C)."""
        latents = ops.cast(inputs["latents"], "float32")
        if self.code_dim is None or latents.shape[-1] != self.code_dim:
            raise ValueError(
                "`latents` need a generator with as many channels as they "
                f"have in `code_dim`. Received: code_dim={self.code_dim}, "
                f"latents of shape {tuple(latents.shape)}"
            )
        return ops.reshape(latents, (-1, self.code_dim))

    def image_losses(self, x, y_pred, training=True):
        if "latents" not in x:
            return super().image_losses(x, y_pred, training)
        depth = self.codes_per_position
        losses = stack_losses(
            ops.reshape(y_pred["image_hidden"], (-1, depth, self.width)),
            self._cast(self.image_head),
            self._head_biases(),
            self._flat_latents(x),
            ops.reshape(y_pred["stacks"], (-1, depth)),
            ops.convert_to_tensor(self.codebooks),
            self.code_temperature if training else None,
        )
        return ops.reshape(ops.mean(losses, axis=-1), (-1, self.num_positions))

    def get_config(self):
        config = super().get_config()
        config.update({name: getattr(self, name) for name in _CONFIG})
        return config


_CONFIG = (
    "head_depth",
    "head_num_heads",
    "body_embedding",
    "head_embedding",
    "shared_embedding",
    "shared_classifier",
    "cumulative_depth_context",
    "code_dim",
    "shared_codebook",
    "code_temperature",
)


def _check(
    head_depth, body_embedding, head_embedding, code_dim, code_temperature
):
    if not isinstance(head_depth, int) or head_depth < 1:
        raise ValueError(
            "`head_depth` must be a positive integer. "
            f"Received: head_depth={head_depth!r}"
        )
    for name, value in (
        ("body_embedding", body_embedding),
        ("head_embedding", head_embedding),
    ):
        if value not in _EMBEDDINGS:
            raise ValueError(
                f"`{name}` must be one of {', '.join(_EMBEDDINGS)}. "
                f"Received: {name}={value!r}"
            )
        if value == "codebook" and code_dim is None:
            raise ValueError(
                f'`{name}="codebook"` needs `code_dim`, the channels of the '
                "tokenizer's codes."
            )
    if code_dim is not None and (not isinstance(code_dim, int) or code_dim < 1):
        raise ValueError(
            "`code_dim` must be a positive integer or None. "
            f"Received: code_dim={code_dim!r}"
        )
    if not code_temperature > 0:
        raise ValueError(
            "`code_temperature` must be above 0. "
            f"Received: code_temperature={code_temperature!r}"
        )
