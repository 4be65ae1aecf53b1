"""Does the same content get the same codes wherever it stands?

The measure of TE-VQGAN. One used code agrees with itself everywhere, so the
figure is never given without codebook usage and perplexity.
"""

import itertools
from typing import Any

import numpy as np
from keras import ops

from keras_bidalle.quantizers import codebook_metrics
from keras_bidalle.validation import (
    as_array,
    as_indices,
    check_image_dtype,
    check_image_range,
    check_positive,
    refused,
)


def translation_equivariance(
    codes: Any, num_codes: int, images: Any = None
) -> Any:
    """Compares the codes of the same content at five places.

    The block of codes under the content, half the grid high and wide, is cut
    from each of the five grids of a group; each of the 10 pairs of blocks is
    compared index by index. With residual codes every depth is an index.

    Args:
        codes: int array (G, 5, h, w) or (G, 5, h, w, depth), h and w
            multiples of 4: groups as `MNIST64.translated_groups` draws them
            (center, upper left, upper right, lower left, lower right).
        num_codes: int, the size of the codebook.
        images: optional array (G, 5, H, W, 3), the images of the codes,
            uint8 or float in [-1, 1], H and W multiples of h and w. They
            tell foreground (a cell with any pixel that is not black) from
            background, whose cells agree almost by themselves.

    Returns:
        dict of float: `"translation_equivariance"`, the share of equal
        indices, averaged over groups, 1.0 is perfect;
        `"foreground_translation_equivariance"` (with `images`), the same over
        foreground cells, averaged over the groups that have any;
        `"codebook_usage"`, share of the codebook that occurs in `codes`, and
        `"perplexity"` of their distribution, in [1, num_codes].

    Raises:
        ValueError: on shapes or ranges other than these.
        TypeError: on other dtypes.

    Reference:
        TE-VQGAN, https://arxiv.org/abs/2112.00384, section 4 and
        `ShiftEqMetric` of the released code.
    """
    codes = as_array("codes", codes)
    if codes.ndim not in (4, 5) or codes.shape[1] != 5 or codes.size == 0:
        raise ValueError(
            "`codes` must have shape (groups, 5, height, width) or (groups, "
            f"5, height, width, depth). Received: shape={codes.shape}"
        )
    height, width = codes.shape[2:4]
    if height % 4 or width % 4:
        raise ValueError(
            "The grid of `codes` must have a height and width divisible by "
            f"4. Received: shape={codes.shape}"
        )
    codes = codes.reshape(*codes.shape[:4], -1)
    # (G, pairs, h/2, w/2, depth): whether the two codes of a pair agree.
    agree = _pairs_agree(content_blocks(codes))
    results = {"translation_equivariance": float(agree.mean())}
    if images is not None:
        foreground = _foreground(images, codes.shape[:4])
        blocks = content_blocks(foreground[..., None])[..., 0]
        # A cell counts when the item is there at any of the five places.
        cells = blocks.any(axis=1)
        shares = agree.mean(axis=(1, 4))
        counts = cells.sum(axis=(1, 2))
        seen = counts > 0
        if not seen.any():
            raise ValueError("`images` must not be black everywhere.")
        scores = (shares * cells).sum(axis=(1, 2))[seen] / counts[seen]
        results["foreground_translation_equivariance"] = float(scores.mean())
    return results | codebook_statistics(codes, num_codes)


def codebook_statistics(codes: Any, num_codes: int) -> Any:
    """How much of a codebook some codes use.

    Args:
        codes: int array of any shape, values in [0, num_codes).
        num_codes: int.

    Returns:
        dict of float: `"codebook_usage"` in [0, 1] and `"perplexity"`, the
        exponential of the entropy, in [1, num_codes].

    Raises:
        ValueError: on codes out of range, or none.
        TypeError: if they are not integers.
    """
    check_positive(num_codes=num_codes)
    codes = as_array("codes", codes).ravel()
    if not codes.size:
        raise refused("not be empty", "codes", shape=codes.shape)
    codes = as_indices(codes, int(num_codes), "codes")
    counts = np.bincount(codes, minlength=num_codes)
    shares = ops.convert_to_tensor((counts / codes.size).astype("float32"))
    return {
        "codebook_usage": float(codebook_metrics.usage(shares)),
        "perplexity": float(codebook_metrics.perplexity(shares)),
    }


def content_blocks(grids):
    """Cuts the content's block from each place: (G, 5, h/2, w/2, ...).

    Args:
        grids: array (G, 5, h, w, ...) of codes or pixels, h and w multiples
            of 4, the places in the order of `translation_equivariance`.
    """
    height, width = grids.shape[2:4]
    rows, columns = height // 4, width // 4
    corners = (
        (rows, columns),
        (0, 0),
        (0, 2 * columns),
        (2 * rows, 0),
        (2 * rows, 2 * columns),
    )
    return np.stack(
        [
            grids[:, i, top : top + 2 * rows, left : left + 2 * columns]
            for i, (top, left) in enumerate(corners)
        ],
        axis=1,
    )


def _pairs_agree(blocks):
    pairs = itertools.combinations(range(blocks.shape[1]), 2)
    return np.stack([blocks[:, i] == blocks[:, j] for i, j in pairs], axis=1)


def _foreground(images, shape):
    """Which cells hold a pixel that is not black: bool (G, 5, h, w)."""
    images = np.asarray(ops.convert_to_numpy(images))
    groups, places, height, width = shape
    if (
        images.ndim != 5
        or images.shape[:2] != (groups, places)
        or images.shape[2] % height
        or images.shape[3] % width
    ):
        raise ValueError(
            f"`images` must have shape ({groups}, {places}, H, W, channels), "
            f"H a multiple of {height} and W of {width}. "
            f"Received: shape={images.shape}"
        )
    is_uint8 = check_image_dtype(images.dtype) == "uint8"
    if not is_uint8 and images.size:
        check_image_range(images.min(), images.max())
    # Half a gray level above black, in either range.
    black = 0 if is_uint8 else -1.0 + 0.5 / 127.5
    lit = (images > black).any(axis=-1)
    lit = lit.reshape(
        groups,
        places,
        height,
        images.shape[2] // height,
        width,
        images.shape[3] // width,
    )
    return lit.any(axis=(3, 5))
