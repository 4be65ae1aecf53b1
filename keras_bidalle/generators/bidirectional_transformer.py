"""One autoregressive transformer over captions and codes, both directions."""

import inspect
from collections.abc import Mapping
from typing import Any

import keras

from keras_bidalle.arguments import argument_names, arguments_for, defaults_of
from keras_bidalle.generators.caption_tokens import CaptionTokens
from keras_bidalle.generators.generator import Generator
from keras_bidalle.generators.heads.image_head import ImageHead
from keras_bidalle.generators.heads.single_code import SingleCodeHead
from keras_bidalle.generators.next_token import NextToken
from keras_bidalle.generators.random_order import RandomOrder
from keras_bidalle.generators.replaced_past import ReplacedPast
from keras_bidalle.generators.row_embedding import RowEmbedding
from keras_bidalle.transformer.block_presets import block_preset
from keras_bidalle.transformer.row_layout import RowLayout
from keras_bidalle.transformer.transformer import Transformer
from keras_bidalle.transformer.transformer_block import TransformerBlock
from keras_bidalle.validation import check_positive

_PARTS: tuple = (RowLayout, Transformer, TransformerBlock)
_PARTS += (CaptionTokens, RowEmbedding, NextToken)
# Arguments of parts that follow from the others.
_DERIVED = ("block", "final_norm", "norm", "codebooks", "target_positions")
_OF_MODELS = ("name", "dtype", "trainable")


@keras.saving.register_keras_serializable(package="keras_bidalle")
class BidirectionalTransformer(Generator):
    """A `Generator` with one code at each position: a `SingleCodeHead`.

    Its arguments are those of its parts, by name.

    Args:
        text_vocabulary_size: int, V_t, token ids of captions.
        text_length: int, T, the length of a row of caption tokens.
        num_codes: int, K, the size of the image tokenizer's codebook.
        code_shape: tuple (rows, columns) of one image's codes, or (N,) for
            codes without a grid.
        width: int, channels d of the residual stream.
        depth: int, number of blocks.
        num_heads: int.
        **options: what the parts take, with their defaults.
            `RowLayout`: `attention`, `kernel_size`, `rotary`,
            `mask_padding`, `pads_see_themselves`,
            `sparse_captioning_sees_pads`. `Transformer`:
            `token_kernel_size`. `TransformerBlock`: `head_dim`,
            `feed_forward_width`, `activation`, `normalization`,
            `query_key_norm`, `layer_scale`, `use_bias`, `qkv_bias`,
            `dropout`, `gradient_checkpointing`. `RowEmbedding`:
            `image_positions`, `segment_embeddings`, `condition_dropout`.
            `CaptionTokens`: `pad_id`, `start_id`, `end_id`, `pad_tokens`,
            `head_bias` (that of the image head as well). `NextToken`:
            `target_weight`, `predict_start`. `keras.Model`: `name`, `dtype`,
            `trainable`. `block_preset`: "llama" stands for RMSNorm,
            SwiGLU, no biases, normalized queries and keys and
            `rotary="image"`, where these are not given. And `order`,
            "raster" or "permuted", in which images are learned at first, with
            `order_annealing` and `order_seed`, those of `RandomOrder`, and
            `replaced_past`, the largest share of a `ReplacedPast`; 0 for none.

    Raises:
        TypeError: on an argument that no part takes.
        ValueError: if an argument is out of its range.

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

    head_types: tuple = (SingleCodeHead,)
    # Options that have no default in the part that takes them.
    own_options: dict[str, Any] = {
        "head_dim": None,
        "block_preset": None,
        "order": "raster",
        "order_annealing": None,
        "order_seed": None,
        "replaced_past": 0.0,
    }

    def __init__(
        self,
        text_vocabulary_size: int,
        text_length: int,
        num_codes: int,
        code_shape: tuple,
        width: int,
        depth: int,
        num_heads: int,
        **options: Any,
    ) -> None:
        model = {k: options.pop(k) for k in _OF_MODELS if k in options}
        sizes = {
            "text_vocabulary_size": text_vocabulary_size,
            "text_length": text_length,
            "num_codes": num_codes,
            "width": width,
            "depth": depth,
            "num_heads": num_heads,
        }
        check_positive(**sizes)
        values = {
            **sizes,
            "code_shape": tuple(code_shape),
            **self.checked_options(options, width),
        }
        parts = self.assembled({**values, "dtype": model.get("dtype")})
        super().__init__(**parts, **model)
        self._values = values

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        show_options(cls)

    @classmethod
    def known_options(cls) -> dict:
        """The options of the parts, with their defaults."""
        known = {**cls.own_options, **defaults_of((*_PARTS, *cls.head_types))}
        return {k: v for k, v in known.items() if k not in _DERIVED}

    @classmethod
    def checked_options(cls, given: dict, width: int) -> dict:
        """All options of the parts, with defaults for those not given."""
        known = cls.known_options()
        unknown = [name for name in given if name not in known]
        if unknown:
            raise TypeError(
                f"`{cls.__name__}` has no arguments {', '.join(unknown)}. "
                f"Beside its sizes it takes {', '.join(sorted(known))}."
            )
        named = block_preset(given.get("block_preset"), width)
        options = {**known, **named, **given}
        options["attention"] = tuple(options["attention"])
        if isinstance(options["order_annealing"], list):
            options["order_annealing"] = tuple(options["order_annealing"])
        return options

    @classmethod
    def assembled(cls, values: dict) -> dict:
        """The parts: dict from arguments of `Generator` to objects."""
        block = arguments_for(TransformerBlock, values)
        # Whoever makes blocks gives these.
        del block["width"], block["num_heads"]
        values = {**values, "block": block}
        head = cls.make_head(values)
        values["grid"] = head.grid
        values["final_norm"] = not head.normalizes
        values["norm"] = values["normalization"] if head.normalizes else None
        transformer = made(Transformer, values)
        values["head_dim"] = transformer.blocks[0].head_dim
        values["target_positions"] = values["order"] == "permuted"
        return {
            "layout": made(RowLayout, values),
            "captions": made(CaptionTokens, values),
            "head": head,
            "embedding": made(RowEmbedding, values),
            "transformer": transformer,
            "objective": cls.make_objective(values),
        }

    @classmethod
    def make_head(cls, values: dict) -> ImageHead:
        """The image head, given all arguments and those of blocks."""
        return made(cls.head_types[0], values)

    @classmethod
    def make_objective(cls, values: dict) -> Any:
        """The objective, given all arguments."""
        objective, order = made(NextToken, values), values["order"]
        if values["replaced_past"]:
            objective = ReplacedPast(values["replaced_past"], objective)
        if order == "raster":
            return objective
        if order != "permuted":
            raise ValueError(
                '`order` must be "raster" or "permuted". '
                f"Received: order={order!r}"
            )
        return RandomOrder(
            values["order_annealing"], objective, values["order_seed"]
        )

    def arguments(self) -> dict:
        return dict(self._values)

    @classmethod
    def current_arguments(cls, config: Mapping[str, Any]) -> dict:
        return dict(config)


def show_options(cls: Any) -> None:
    """Has `help` and `inspect.signature` show a class's options by name."""
    sizes = argument_names(BidirectionalTransformer.__init__)[1:]
    kind = inspect.Parameter
    positional = [kind(name, kind.POSITIONAL_OR_KEYWORD) for name in sizes]
    defaults = {**cls.known_options(), **dict.fromkeys(_OF_MODELS)}
    named = [
        kind(name, kind.KEYWORD_ONLY, default=default)
        for name, default in defaults.items()
    ]
    cls.__signature__ = inspect.Signature([*positional, *named])


show_options(BidirectionalTransformer)


def made(part: Any, values: dict) -> Any:
    """A part, of those arguments that it takes."""
    arguments = arguments_for(part, values)
    if issubclass(part, keras.layers.Layer):
        arguments["dtype"] = values["dtype"]
    return part(**arguments)
