"""A bidirectional transformer whose image positions are patches of codes."""

import keras

from keras_bidalle.generators.bidirectional_transformer import (
    BidirectionalTransformer,
)
from keras_bidalle.generators.heads.patch import PatchHead


@keras.saving.register_keras_serializable(package="keras_bidalle")
class PatchBidirectionalTransformer(BidirectionalTransformer):
    """A `Generator` with p x p neighboring codes at each position.

    The row shortens p^2-fold on its image side, which is where the cost of
    a generator lies, and nothing is lost: within a patch the codes are
    predicted one after the other, by a small network that sees the stream
    and the codes of the patch before it. It is the division of work of the
    RQ-Transformer (a spatial and a depth transformer), with space in the
    place of residual depth and a two-layer network in the place of the depth
    transformer.

    Args:
        code_shape: tuple (rows, columns) of one image's codes.
        patch_size: int, p; both sides of `code_shape` are multiples of it.
            Default: 2.
        patch_head_width: int, hidden channels of the network that predicts
            the codes of a patch. Default: 192.
        **options: as in `BidirectionalTransformer`. The kinds of attention
            are over the grid of patches.

    Returns (when called):
        as `Generator`, with `image_logits` of shape (B, P / p^2, p^2, K).

    Reference:
        RQ-Transformer, arXiv 2203.01941, section 3.2.
    """

    head_types = (PatchHead,)
