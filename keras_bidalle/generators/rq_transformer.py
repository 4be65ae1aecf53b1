"""A transformer over places and, in each, over the depths of its codes."""

from typing import Any

import keras

from keras_bidalle.generators.bidirectional_transformer import (
    BidirectionalTransformer,
    made,
)
from keras_bidalle.generators.frozen_codebooks import (
    FrozenCodebooks,
    check_temperature,
)
from keras_bidalle.generators.heads.residual import ResidualHead


@keras.saving.register_keras_serializable(package="keras_bidalle")
class RQTransformer(BidirectionalTransformer):
    """A `Generator` with a stack of D residual codes at each position.

    The body, the transformer over the row, sees the sum of the embeddings of
    a position's codes. The head, a second, causal transformer, runs over the
    D depths of one position.

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
        code_shape: tuple (rows, columns, D) of one image's codes.
        depth: int, number of blocks of the body.
        head_num_heads: int, attention heads of the head; `num_heads` if
            `None`.
        code_dim: int, C, the channels of the tokenizer's codes; `None` for
            a generator without its codebooks.
        **options: as in `BidirectionalTransformer`, and what `ResidualHead`
            (`head_depth`, `body_embedding`, `head_embedding`,
            `shared_embedding`, `shared_classifier`,
            `cumulative_depth_context`, `codebook_sizes`) and `FrozenCodebooks`
            (`shared_codebook`, `code_temperature`, `code_distance`) take.
            `target_weight=9` gives the published weights, 0.9 for images
            and 0.1 for captions.

    Call arguments:
        inputs: dict as in `Generator`, with `codes` of shape (B, rows,
            columns, D), or with `latents` in their place: float32 (B, rows,
            columns, C), what the tokenizer quantizes.

    Returns:
        dict as in `Generator`. Given `latents`, it has in the place of
        `image_logits` what the classifiers see, `image_hidden`
        (B, P, D, d), and `stacks`, int32 (B, P, D): logits are then made
        inside the loss, a depth at a time.

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

    head_types = (ResidualHead, FrozenCodebooks)
    own_options = {
        **BidirectionalTransformer.own_options,
        "head_num_heads": None,
        "code_dim": None,
    }

    @classmethod
    def make_head(cls, values: dict) -> ResidualHead:
        values = dict(values)
        values["head_num_heads"] = (
            values["head_num_heads"] or values["num_heads"]
        )
        check_temperature(values["code_temperature"])
        values["codebooks"] = None
        if values["code_dim"] is not None:
            values["code_depth"] = values["code_shape"][-1]
            values["codebooks"] = made(FrozenCodebooks, values)
        return made(ResidualHead, values)

    def use_codebooks(self, tokenizer: Any) -> None:
        """Takes over the codebooks of a tokenizer, which stay as they are.

        Args:
            tokenizer: `ImageTokenizer` with a `ResidualQuantizer`, such a
                quantizer, or a float array (K, C) or (D, K, C).

        Codes that a depth's smaller codebook does not have are never drawn.

        Raises:
            ValueError: if this generator has no `code_dim`, or was made for
                other codebooks, or they are searched by several distances,
                or have several sizes and the classifiers are shared.
        """
        if self.head.codebooks is None:
            raise ValueError(
                "`use_codebooks` needs a generator that was made with "
                "`code_dim`, which this one was not."
            )
        self.head.codebooks.use(tokenizer)
        self.head.leave_out_missing_codes()

    def arguments(self) -> dict:
        arguments = super().arguments()
        if self.head.codebooks is not None:
            arguments["code_distance"] = self.head.codebooks.code_distance
        return arguments
