"""A stack of residual codes at each position."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from keras_bidalle.backend.lookup import lookup
from keras_bidalle.generators.frozen_codebooks import FrozenCodebooks
from keras_bidalle.generators.heads.codebook_sizes import (
    NO_CODE,
    checked_sizes,
    sizes_left,
    without_missing,
)
from keras_bidalle.generators.heads.image_head import ImageHead
from keras_bidalle.generators.stochastic_codes import are_codes
from keras_bidalle.messages import shown
from keras_bidalle.transformer.layer_calls import PLAIN_CALLS
from keras_bidalle.transformer.row_masks import masked_score
from keras_bidalle.transformer.transformer_block import (
    make_blocks,
    make_norm,
)
from keras_bidalle.validation import check_choice, check_positive, refused

_EMBEDDINGS = ("learned", "codebook")


@keras.saving.register_keras_serializable(package="keras_bidalle")
class ResidualHead(ImageHead):
    """A causal transformer over the D codes of one position.

    It begins with what the stream says of the position, and then sees the
    codes chosen so far.

    Args:
        num_codes, width: as in `ImageHead`.
        code_shape: tuple (rows, columns, D) of one image's codes.
        head_num_heads: int, attention heads of its blocks.
        head_depth: int, number of its blocks.
        body_embedding: str, "learned" or "codebook": what the transformer
            over the row sees of a code.
        head_embedding: str, "learned" or "codebook": what this one does.
            Where both are learned, they are the same table.
        shared_embedding: bool, whether the depths share one learned table.
        shared_classifier: bool, whether the depths share one classifier.
        cumulative_depth_context: bool, whether the sum of the codes before
            is seen at each depth, or the last of them only.
        head_bias: bool, whether logits have biases.
        codebooks: `FrozenCodebooks` of the tokenizer, or `None`.
        codebook_sizes: tuple of D int, at most `num_codes`: how many codes
            each depth has, where they are not all one (see
            `ResidualQuantizer.codebook_sizes`). Others are never drawn.
        block: dict of further arguments of `TransformerBlock`.

    Reference:
        RQ-Transformer, arXiv 2203.01941, Sec. 3.2.
    """

    normalizes = True

    def __init__(
        self,
        num_codes: int,
        code_shape: tuple,
        width: int,
        head_num_heads: int,
        head_depth: int = 4,
        body_embedding: str = "learned",
        head_embedding: str = "learned",
        shared_embedding: bool = True,
        shared_classifier: bool = True,
        cumulative_depth_context: bool = True,
        head_bias: bool = True,
        codebooks: FrozenCodebooks | None = None,
        codebook_sizes: Sequence[int] | None = None,
        block: dict | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(num_codes, code_shape, width, **kwargs)
        if len(self.code_shape) != 3 or any(n < 1 for n in self.code_shape):
            raise refused(
                "be (rows, columns, depth)", code_shape=self.code_shape
            )
        self.codebook_sizes = checked_sizes(
            codebook_sizes, self.code_shape[2], num_codes
        )
        check_positive(head_depth=head_depth, head_num_heads=head_num_heads)
        for name, value in (
            ("body_embedding", body_embedding),
            ("head_embedding", head_embedding),
        ):
            _check_embedding(name, value, codebooks)
        self.head_num_heads = head_num_heads
        self.head_depth = head_depth
        self.body_embedding = body_embedding
        self.head_embedding = head_embedding
        self.shared_embedding = shared_embedding
        self.shared_classifier = shared_classifier
        self.cumulative_depth_context = cumulative_depth_context
        self.head_bias = head_bias
        self.codebooks: Any = codebooks
        self.block = dict(block or {})
        dtype = self.dtype_policy
        self.body_projection = self._projection(body_embedding, "body")
        self.head_projection = self._projection(head_embedding, "head")
        self.head_blocks = make_blocks(
            head_depth,
            "head_block",
            width,
            head_num_heads,
            **self.block,
            dtype=dtype,
        )
        self.image_head_norm = make_norm(
            self.head_blocks[0].normalization,
            dtype=dtype,
            name="image_head_norm",
        )

    def _projection(self, kind, name):
        """From a code's vector to the width: learned ones have that."""
        name, dtype = f"{name}_projection", self.dtype_policy
        if kind == "learned":
            return layers.Identity(dtype=dtype, name=f"no_{name}")
        return layers.Dense(self.width, dtype=dtype, name=name)

    @property
    def grid(self) -> Any:
        return self.code_shape[:2]

    @property
    def codes_per_position(self) -> Any:
        return self.code_shape[2]

    def build(self, input_shape: Any = None) -> Any:
        d, k, c = self.width, self.num_codes, self.codes_per_position

        kinds = (self.body_embedding, self.head_embedding)
        if self.codebooks is not None and not self.codebooks.built:
            self.codebooks.build(None)
        if "learned" in kinds:
            tables = 1 if self.shared_embedding else c
            self.embedding = self.normal("image_embedding", tables, k, d)
        for projection in (self.body_projection, self.head_projection):
            if self.codebooks is not None:
                projection.build((None, None, self.codebooks.code_dim))
        self.depth_embedding = self.normal("depth_embedding", c, d)
        for block in self.head_blocks:
            block.build((None, c, d))
        self.image_head_norm.build((None, c, d))
        heads = 1 if self.shared_classifier else c
        self.kernel = self.normal("image_head", heads, d, k)
        self.bias = self.biases("image_head_bias", heads, k)

    def _vectors(self, kind, codes, place=None):
        """Embeds codes of the first m depths (..., m), or of one `place`."""
        table = (
            self.codebooks.codebooks if kind == "codebook" else self.embedding
        )
        count, k, channels = table.shape
        if count > 1:
            if place is None:
                place = ops.arange(codes.shape[-1], dtype="int32")
            codes = codes + place * k
        table = ops.reshape(self.cast(table), (-1, channels))
        return lookup(table, codes)

    def embed(self, stacks: Any) -> Any:
        vectors = self._vectors(self.body_embedding, stacks)
        return self.body_projection(ops.sum(vectors, axis=-2))

    def states(
        self, hidden: Any, stacks: Any, training: bool | None = None
    ) -> Any:
        """What the classifiers see: tensor (B, n, D, d).

        Args:
            hidden, stacks, training: as in `logits`.
        """
        n, depth = hidden.shape[1], self.codes_per_position
        x = hidden[:, :, None]
        if depth > 1:
            known = self._vectors(self.head_embedding, stacks[..., :-1])
            if self.cumulative_depth_context:
                known = ops.cumsum(known, axis=-2)
            x = ops.concatenate([x, self.head_projection(known)], axis=-2)
        x = x + self.cast(self.depth_embedding)
        # Every position by itself: (B, n, D, d) -> (B n, D, d).
        x = ops.reshape(x, (-1, depth, self.width))
        score = masked_score(self.compute_dtype)
        mask = np.triu(np.full((depth, depth), score, "float32"), 1)
        mask = ops.convert_to_tensor(mask, self.compute_dtype)[None, None]
        for block in self.head_blocks:
            x = block(x, attention_bias=mask, training=training)
        x = self.image_head_norm(x)
        return ops.reshape(x, (-1, n, depth, self.width))

    def logits(self, hidden: Any, stacks: Any, training: Any = None) -> Any:
        x = self.states(hidden, stacks, training)
        kernel = self.cast(self.kernel)
        if self.shared_classifier:
            logits = ops.matmul(x, kernel[0])
        else:
            logits = ops.einsum("bncd,cdk->bnck", x, kernel)
        return ops.cast(logits, "float32") + self._biases()

    def _biases(self):
        """float32 tensor (1 or D, K), zeros without `head_bias`."""
        if self.bias is None:
            bias = ops.zeros(self.kernel.shape[::2], "float32")
        else:
            bias = ops.cast(self.bias, "float32")
        if self.codebook_sizes is None:
            return bias
        return without_missing(bias, self.codebook_sizes)

    @property
    def codebook_limits(self) -> int | tuple[int, ...]:
        if self.codebook_sizes is not None:
            return self.codebook_sizes
        if self.bias is None or self.shared_classifier:
            return self.num_codes
        # As `leave_out_missing_codes` and earlier versions leave it.
        sizes = sizes_left(self.bias)
        return sizes if min(sizes) < self.num_codes else self.num_codes

    def leave_out_missing_codes(self) -> None:
        """Gives codes that a smaller codebook does not have no chance.

        Raises:
            ValueError: if the codebooks have other sizes than
                `codebook_sizes`, or classifiers have no place for it.
        """
        exist = are_codes(ops.convert_to_numpy(self.codebooks.codebooks))
        if self.codebook_sizes is not None:
            found = tuple(exist.sum(axis=-1).tolist())
            if found != self.codebook_sizes:
                raise ValueError(
                    "`tokenizer` must have codebooks of the generator's "
                    f"`codebook_sizes`={self.codebook_sizes}. "
                    f"Received: {shown(found)} codes"
                )
            return
        if exist.all():
            return
        if self.shared_classifier or self.bias is None:
            raise ValueError(
                "`shared_classifier` and `head_bias=False` need codebooks of "
                f"one size. Received: {exist.sum(axis=-1).tolist()} codes"
            )
        bias = ops.convert_to_numpy(self.bias)
        self.bias.assign(np.where(exist, bias, NO_CODE))

    def decoded_blocks(self) -> Any:
        return list(self.head_blocks)

    def draw(self, hidden: Any, draw: Any, run: Any = PLAIN_CALLS) -> Any:
        depth = self.codes_per_position
        places = self.cast(self.depth_embedding)
        kernel, bias = self.cast(self.kernel), self._biases()
        x = (hidden + places[0])[:, None]
        codes, caches, known = [], [None] * self.head_depth, 0.0
        for place in range(depth):
            for i, block in enumerate(self.head_blocks):
                if place == 0:
                    x, caches[i] = block.prefill(x, None, depth, run=run)
                else:
                    x, caches[i] = block.decode(x, caches[i], place, run=run)
            which = 0 if self.shared_classifier else place
            x = run(self.image_head_norm, x)[:, 0]
            logits = ops.cast(ops.matmul(x, kernel[which]), "float32")
            which = 0 if bias.shape[0] == 1 else place
            codes.append(draw(logits + bias[which], place))
            if place + 1 < depth:
                vectors = self._vectors(self.head_embedding, codes[-1], place)
                if self.cumulative_depth_context:
                    vectors = known = known + vectors
                # Under guidance `hidden` holds each row twice.
                repeats = ops.shape(hidden)[0] // ops.shape(vectors)[0]
                x = self.head_projection(vectors)[:, None]
                x = ops.tile(x, (repeats, 1, 1)) + places[place + 1]
        return ops.stack(codes, axis=-1)

    def check_trainable(self) -> Any:
        if self.codebooks is not None:
            self.codebooks.check_filled()

    def stacks(self, inputs: Any, training: Any = None) -> Any:
        if "latents" not in inputs:
            return super().stacks(inputs, training)
        return self.to_positions(
            self._codebooks_for(inputs).draw(inputs["latents"], training)
        )

    def predictions(
        self, inputs: Any, hidden: Any, stacks: Any, training: Any = None
    ) -> Any:
        if "latents" not in inputs:
            return super().predictions(inputs, hidden, stacks, training)
        # Logits are made inside the loss, a depth at a time.
        states = self.states(hidden, stacks, training)
        return {"image_hidden": states, "stacks": stacks}

    def losses_of(
        self, inputs: Any, outputs: Any, training: bool = True
    ) -> Any:
        if "latents" not in inputs:
            return super().losses_of(inputs, outputs, training)
        depth = self.codes_per_position
        losses = self._codebooks_for(inputs).losses_of(
            ops.reshape(outputs["image_hidden"], (-1, depth, self.width)),
            self.cast(self.kernel),
            self._biases(),
            inputs["latents"],
            ops.reshape(outputs["stacks"], (-1, depth)),
            training,
        )
        rows, columns = self.grid
        return ops.reshape(ops.mean(losses, axis=-1), (-1, rows * columns))

    def _codebooks_for(self, inputs):
        if self.codebooks is None:
            raise ValueError(
                "`latents` need a generator that was made with `code_dim`, "
                "the channels that they have. Received: latents of shape "
                f"{tuple(inputs['latents'].shape)}"
            )
        return self.codebooks


def _check_embedding(name, value, codebooks):
    check_choice(_EMBEDDINGS, **{name: value})
    if value == "codebook" and codebooks is None:
        raise ValueError(
            f'`{name}="codebook"` needs `code_dim`, the channels of the '
            "tokenizer's codes."
        )
