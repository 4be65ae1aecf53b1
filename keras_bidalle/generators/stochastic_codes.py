"""Codes drawn from latents, and what a generator learns from them.

A residual tokenizer's nearest codes are one of many stacks that say nearly
the same. RQ-Transformer trains on stacks that are drawn anew in every step,
and on the odds that they were drawn with in place of one right answer. The
odds are K numbers a code, as many as the logits; both are made for one depth
at a time and made again in the backward pass, so that the memory they take
is that of one depth and not of a batch of stacks.

Reference:
    RQ-Transformer, arXiv 2203.01941, Sec. 3.2.3.
"""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_bidalle.losses.cross_entropy import cross_entropy
from keras_bidalle.quantizers import LatentPatchQuantizer, ResidualQuantizer
from keras_bidalle.quantizers.codebook_quantizer import CodebookQuantizer
from keras_bidalle.quantizers.distances import Distance, L2Distance
from keras_bidalle.quantizers.gumbel_noise import gumbel_noise

_L2 = L2Distance()
# Where codes are that a smaller codebook does not have: nearest to nothing.
_FAR = 1e4


def stacked(books: Sequence[Any]) -> np.ndarray:
    """Codebooks (K_d, C) as one array (n, K, C) of the largest's size."""
    books = [np.asarray(book, "float32") for book in books]
    size = max(len(book) for book in books)
    result = np.full((len(books), size, books[0].shape[1]), _FAR, "float32")
    for place, book in zip(result, books, strict=True):
        place[: len(book)] = book
    return result


def are_codes(codebooks: np.ndarray) -> np.ndarray:
    """Which rows of `stacked` codebooks stand for codes: bool (n, K)."""
    return np.any(codebooks < _FAR, axis=-1, keepdims=False)


def codebooks_of(source: Any) -> np.ndarray:
    """The codebooks of a tokenizer or quantizer: float32 (n, K, C).

    Codes that a smaller codebook does not have are far from all latents.

    Args:
        source: an `ImageTokenizer` with a `ResidualQuantizer`, such a
            quantizer, or a float array (K, C), one codebook for all depths,
            or (D, K, C).

    Raises:
        ValueError: if it is none of these, or its codes are not searched in
            a codebook.
    """
    parts = _searched_parts(source)
    if parts is not None:
        books = [ops.convert_to_numpy(part.codebook) for part in parts]
        distance = distance_of(source)
        if len(set(map(len, books))) > 1 and type(distance) is not L2Distance:
            raise ValueError(
                "`tokenizer` must search codebooks of several sizes by l2. "
                f"Received: {type(distance).__name__}"
            )
        return stacked(books)
    codebooks = np.asarray(source, "float32")
    codebooks = codebooks[None] if codebooks.ndim == 2 else codebooks
    if codebooks.ndim != 3:
        raise ValueError(
            "`tokenizer` must be an array of codebooks (K, C) or (D, K, C). "
            f"Received: shape={codebooks.shape}"
        )
    return codebooks


def distance_of(source: Any) -> Distance | None:
    """The distance by which codes are searched, `None` of an array.

    Raises:
        ValueError: as `codebooks_of`, or if the depths have several.
    """
    parts = _searched_parts(source)
    if parts is None:
        return None
    found = [part.distance for part in parts]
    if len({(type(d), repr(d.get_config())) for d in found}) > 1:
        raise ValueError(
            "`tokenizer` must search all depths of its stacks by one "
            f"distance. Received: {[type(d).__name__ for d in found]}"
        )
    return found[0]


def _searched_parts(source):
    """The quantizers of the depths, or the one of all; `None` of an array."""
    quantizer = getattr(source, "quantizer", source)
    if not isinstance(quantizer, (keras.layers.Layer, str)):
        return None
    if isinstance(quantizer, LatentPatchQuantizer):
        quantizer = quantizer.quantizer
    if not isinstance(quantizer, ResidualQuantizer):
        raise ValueError(
            "`tokenizer` must have a `ResidualQuantizer`, be one, or be an "
            f"array of codebooks. Received: {type(source).__name__}"
        )
    for part in quantizer.quantizers:
        if not isinstance(part, CodebookQuantizer):
            raise ValueError(
                "`tokenizer` must search each code in a codebook, by a "
                f"distance. Received: a depth of {type(part).__name__}"
            )
    quantizer.ensure_built()
    return quantizer.quantizers


def log_odds(
    residuals: Any, codebook: Any, temperature: float, distance: Distance = _L2
) -> Any:
    """Unnormalized log odds of codes (K, C) of residuals (N, C): (N, K)."""
    return -distance(residuals, codebook) / temperature


def draw_stacks(
    latents: Any,
    codebooks: Any,
    code_depth: int,
    temperature: float | None = None,
    seed: Any = None,
    distance: Distance = _L2,
) -> Any:
    """Stacks of codes of latents (N, C): int32 (N, D), without gradients.

    Each code is drawn with the odds `softmax(-distance(r, e) / temperature)`
    and the chain of residuals goes on from the drawn one; a temperature of
    `None` takes the nearest. Codebooks are (1 or D, K, C).
    """
    residual = ops.stop_gradient(latents)
    codes = []
    for codebook in _each(codebooks, code_depth):
        scores = log_odds(residual, codebook, temperature or 1.0, distance)
        if temperature is not None:
            # The largest of Gumbel-noisy log odds has those odds.
            scores = scores + gumbel_noise(ops.shape(scores), seed)
        codes.append(ops.cast(ops.argmax(scores, axis=-1), "int32"))
        residual = residual - ops.take(codebook, codes[-1], axis=0)
    return ops.stack(codes, axis=-1)


def stack_losses(
    hidden: Any,
    kernels: Any,
    biases: Any,
    latents: Any,
    stacks: Any,
    codebooks: Any,
    temperature: float | None = None,
    distance: Distance = _L2,
) -> Any:
    """Cross-entropy of predicted stacks, one depth at a time: (N, D).

    Args:
        hidden: tensor (N, D, d), what predicts each code.
        kernels, biases: tensors (m, d, K) and (m, K), m being 1 or D.
        latents: float32 tensor (N, C), what the stacks were drawn from.
        stacks: int32 tensor (N, D).
        codebooks: float32 tensor (n, K, C), n being 1 or D.
        temperature: float of the odds that are the targets, each depth's
            given the drawn codes before it, or `None`: the codes themselves
            are the targets.
        distance: `Distance`, the tokenizer's.
    """
    code_depth = stacks.shape[-1]
    residual = ops.stop_gradient(latents)

    def one_depth(hidden, kernel, bias, target, codebook):
        logits = ops.cast(ops.matmul(hidden, kernel), "float32") + bias
        if temperature is None:
            return cross_entropy(logits, target)
        scores = log_odds(target, codebook, temperature, distance)
        odds = ops.stop_gradient(ops.softmax(scores, axis=-1))
        return ops.logsumexp(logits, axis=-1) - ops.sum(odds * logits, axis=-1)

    if temperature is not None:
        one_depth = keras.remat(one_depth)
    losses = []
    each = [_each(x, code_depth) for x in (kernels, biases, codebooks)]
    for place, (kernel, bias, codebook) in enumerate(zip(*each, strict=True)):
        codes = stacks[:, place]
        target = codes if temperature is None else residual
        of_place = (hidden[:, place], kernel, bias, target, codebook)
        losses.append(one_depth(*of_place))
        residual = residual - ops.take(codebook, codes, axis=0)
    return ops.stack(losses, axis=-1)


def _each(parts, code_depth):
    """One part for each depth, of D of them or of one that serves all."""
    shared = parts.shape[0] == 1
    return [parts[0 if shared else place] for place in range(code_depth)]
