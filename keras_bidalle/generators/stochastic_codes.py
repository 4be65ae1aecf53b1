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

import keras
import numpy as np
from keras import ops

from keras_bidalle.generators.training import cross_entropy
from keras_bidalle.quantizers import ResidualQuantizer
from keras_bidalle.quantizers.distances import L2Distance
from keras_bidalle.quantizers.gumbel_noise import gumbel_noise


def codebooks_of(source):
    """The codebooks of a tokenizer or quantizer.

    Args:
        source: an `ImageTokenizer` with a `ResidualQuantizer`, such a
            quantizer, or a float array (K, C), one codebook for all depths,
            or (D, K, C).

    Returns:
        float32 NumPy array (n, K, C), n being 1 or D.

    Raises:
        ValueError: if it is none of these.
    """
    quantizer = getattr(source, "quantizer", source)
    if isinstance(quantizer, ResidualQuantizer):
        quantizer.ensure_built()
        return np.stack(
            [
                ops.convert_to_numpy(part.codebook).astype("float32")
                for part in quantizer.quantizers
            ]
        )
    if isinstance(source, (keras.layers.Layer, str)):
        raise ValueError(
            "`tokenizer` must have a `ResidualQuantizer`, be one, or be an "
            f"array of codebooks. Received: {type(source).__name__}"
        )
    codebooks = np.asarray(source, "float32")
    codebooks = codebooks[None] if codebooks.ndim == 2 else codebooks
    if codebooks.ndim != 3:
        raise ValueError(
            "`tokenizer` must be an array of codebooks (K, C) or (D, K, C). "
            f"Received: shape={codebooks.shape}"
        )
    return codebooks


def log_odds(residuals, codebook, temperature):
    """Unnormalised log odds of each code, `-||r - e||^2 / temperature`.

    Args:
        residuals: float32 tensor (N, C).
        codebook: float32 tensor (K, C).
        temperature: float, above 0.

    Returns:
        float32 tensor (N, K).
    """
    return -L2Distance()(residuals, codebook) / temperature


def draw_stacks(latents, codebooks, depth, temperature=None, seed=None):
    """Stacks of codes of latents, along the chain of residuals.

    Args:
        latents: float32 tensor (N, C).
        codebooks: float32 tensor (n, K, C), n being 1 or `depth`.
        depth: int, D.
        temperature: float, above 0; each code is drawn with the odds
            `softmax(-||r - e||^2 / temperature)` and the chain goes on from
            the drawn one. `None` takes the nearest.
        seed: `keras.random.SeedGenerator`.

    Returns:
        int32 tensor (N, D), without gradients.
    """
    residual = ops.stop_gradient(latents)
    codes = []
    for codebook in _each(codebooks, depth):
        scores = log_odds(residual, codebook, temperature or 1.0)
        if temperature is not None:
            # The largest of Gumbel-noisy log odds has those odds.
            scores = scores + gumbel_noise(ops.shape(scores), seed)
        codes.append(ops.cast(ops.argmax(scores, axis=-1), "int32"))
        residual = residual - ops.take(codebook, codes[-1], axis=0)
    return ops.stack(codes, axis=-1)


def stack_losses(
    hidden, kernels, biases, latents, stacks, codebooks, temperature=None
):
    """Cross-entropy of predicted stacks, one depth at a time.

    Args:
        hidden: tensor (N, D, d), what predicts each code.
        kernels: tensor (m, d, K), the classifiers, m being 1 or D.
        biases: float32 tensor (m, K).
        latents: float32 tensor (N, C), what the stacks were drawn from.
        stacks: int32 tensor (N, D).
        codebooks: float32 tensor (n, K, C), n being 1 or D.
        temperature: float of the odds that are the targets, each depth's
            given the drawn codes before it, or `None`: the codes themselves
            are the targets.

    Returns:
        float32 tensor (N, D).
    """
    depth = stacks.shape[-1]
    residual = ops.stop_gradient(latents)

    def one_depth(hidden, kernel, bias, target, codebook):
        logits = ops.cast(ops.matmul(hidden, kernel), "float32") + bias
        if temperature is None:
            return cross_entropy(logits, target)
        odds = ops.softmax(log_odds(target, codebook, temperature), axis=-1)
        odds = ops.stop_gradient(odds)
        return ops.logsumexp(logits, axis=-1) - ops.sum(odds * logits, axis=-1)

    if temperature is not None:
        one_depth = keras.remat(one_depth)
    losses = []
    for place, (kernel, bias, codebook) in enumerate(
        zip(
            _each(kernels, depth),
            _each(biases, depth),
            _each(codebooks, depth),
            strict=True,
        )
    ):
        codes = stacks[:, place]
        target = codes if temperature is None else residual
        losses.append(
            one_depth(hidden[:, place], kernel, bias, target, codebook)
        )
        residual = residual - ops.take(codebook, codes, axis=0)
    return ops.stack(losses, axis=-1)


def _each(parts, depth):
    """One part for each depth, of D of them or of one that serves all."""
    shared = parts.shape[0] == 1
    return [parts[0 if shared else place] for place in range(depth)]
