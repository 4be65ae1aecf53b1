"""Autoregressive models of captions and codes, and sampling from them."""

from keras_bidalle.generators.bidirectional_transformer import (
    BidirectionalTransformer,
)
from keras_bidalle.generators.caption_tokens import CaptionTokens
from keras_bidalle.generators.digit_bidirectional_transformer import (
    DigitBidirectionalTransformer,
)
from keras_bidalle.generators.frozen_codebooks import FrozenCodebooks
from keras_bidalle.generators.generator import Generator
from keras_bidalle.generators.heads import (
    DigitHead,
    ImageHead,
    PatchHead,
    ResidualHead,
    SingleCodeHead,
    grouped_digits,
)
from keras_bidalle.generators.joint_logits import joint_logits
from keras_bidalle.generators.next_token import NextToken
from keras_bidalle.generators.patch_bidirectional_transformer import (
    PatchBidirectionalTransformer,
)
from keras_bidalle.generators.random_order import RandomOrder, folded
from keras_bidalle.generators.replaced_past import ReplacedPast
from keras_bidalle.generators.row_embedding import RowEmbedding
from keras_bidalle.generators.rq_transformer import RQTransformer
from keras_bidalle.sampling.sampler import guide, row_uniforms, sample_tokens
from keras_bidalle.transformer.attention_masks import (
    ATTENTION_KINDS,
    attention_mask,
)
from keras_bidalle.transformer.row_layout import RowLayout
from keras_bidalle.transformer.token_convolution import TokenConvolution
from keras_bidalle.transformer.transformer import Transformer
from keras_bidalle.transformer.transformer_block import TransformerBlock

__all__ = [
    "ATTENTION_KINDS",
    "BidirectionalTransformer",
    "CaptionTokens",
    "DigitBidirectionalTransformer",
    "DigitHead",
    "FrozenCodebooks",
    "Generator",
    "ImageHead",
    "NextToken",
    "PatchBidirectionalTransformer",
    "PatchHead",
    "RQTransformer",
    "RandomOrder",
    "ReplacedPast",
    "ResidualHead",
    "RowEmbedding",
    "RowLayout",
    "SingleCodeHead",
    "TokenConvolution",
    "Transformer",
    "TransformerBlock",
    "attention_mask",
    "folded",
    "grouped_digits",
    "guide",
    "joint_logits",
    "row_uniforms",
    "sample_tokens",
]
