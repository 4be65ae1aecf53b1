"""A start for PatchVQGAN: what k-means makes of the patches themselves.

On flat drawings this is worth an hour of training: with 2048 codes of 4x4
patches, emoji come back with 26 dB before the first step.
"""

from typing import Any

import numpy as np

from keras_bidalle.image_tokenizers.patch_vqgan import PatchStack, PatchVQGAN
from keras_bidalle.validation import as_uint8_images, check_image_dtype

# Of a channel that is the same everywhere and so large that RMS
# normalization, which cannot be left out, divides by it alone.
_CONSTANT = 100.0
# Of the channels that patches do not need, so that they can be learned.
_SPARE = 0.03


def start_from_patches(
    tokenizer: PatchVQGAN,
    images: Any,
    seed: int = 0,
    passes: int = 16,
    patches: int = 400_000,
) -> None:
    """Makes a new tokenizer plain vector quantization of patches, in place.

    The codebook is what k-means finds among the different patches of the
    images; encoder and decoder pass patches on as they are. Training goes
    on from there.

    Args:
        tokenizer: `PatchVQGAN` without training, whose quantizer has one
            codebook of at least as many dimensions as a patch has values,
            and whose `channels` are more than that.
        images: array (N, H, W, C), uint8 or float in [-1, 1].
        seed: int, of k-means.
        passes: int, how often k-means goes over the patches.
        patches: int, how many it takes at most.

    Raises:
        ValueError: if the tokenizer is too narrow for a patch, or the images
            have fewer different patches than there are codes.
    """
    encoder, decoder = tokenizer.encoder, tokenizer.decoder
    values = encoder.patch_size**2 * tokenizer.image_shape[-1]
    quantizer = tokenizer.quantizer
    if encoder.channels <= values or quantizer.code_dim < values:
        raise ValueError(
            f"`tokenizer` must have `channels` above {values}, the values of "
            f"a patch, and `code_dim` of at least {values}. Received: "
            f"channels={encoder.channels}, code_dim={quantizer.code_dim}"
        )
    rng = np.random.default_rng(seed)
    images = np.asarray(images)
    if check_image_dtype(images.dtype) != "uint8":
        images = as_uint8_images(images)
    found = _different_patches(images, encoder.patch_size)
    if len(found) < quantizer.num_codes:
        raise ValueError(
            "`images` must have at least as many different patches as there "
            f"are codes, {quantizer.num_codes}. Received: {len(found)}"
        )
    found = found[rng.permutation(len(found))[:patches]]
    means = _k_means(found, quantizer.num_codes, rng, passes)
    codebook = np.zeros((quantizer.num_codes, quantizer.code_dim), "float32")
    codebook[:, :values] = means
    quantizer.assign_codebook(codebook)
    for stack in (encoder, decoder):
        _pass_on(stack, values)


def _different_patches(images, size):
    """Every patch once: float32 (n, size * size * C) in [-1, 1]."""
    count, height, width, channels = images.shape
    rows, columns = height // size, width // size
    grid = images.reshape(count, rows, size, columns, size, channels)
    flat = grid.transpose(0, 1, 3, 2, 4, 5).reshape(-1, size * size * channels)
    flat = np.ascontiguousarray(flat)
    whole = np.dtype((np.void, flat.shape[1]))
    _, first = np.unique(flat.view(whole)[:, 0], return_index=True)
    return flat[first].astype("float32") / 127.5 - 1.0


def _k_means(vectors, count, rng, passes, chunk=8192):
    """Means (count, C), by Lloyd's passes; what is hardly used moves."""
    means = vectors[rng.permutation(len(vectors))[:count]].copy()
    for number in range(passes):
        sums = np.zeros_like(means)
        uses = np.zeros(count)
        errors = []
        for at in range(0, len(vectors), chunk):
            part = vectors[at : at + chunk]
            scores = part @ means.T - 0.5 * np.square(means).sum(1)
            nearest = scores.argmax(1)
            best = scores[np.arange(len(part)), nearest]
            errors.append(np.square(part).sum(1) - 2.0 * best)
            order = np.argsort(nearest, kind="stable")
            codes, first = np.unique(nearest[order], return_index=True)
            sums[codes] += np.add.reduceat(part[order], first)
            uses += np.bincount(nearest, minlength=count)
        used = uses > 0
        means[used] = sums[used] / uses[used, None].astype("float32")
        # Towards the end every code keeps its place.
        rare = np.flatnonzero(uses < 3 if number < passes * 3 // 4 else ~used)
        if len(rare) and number < passes - 1:
            odds = np.maximum(np.concatenate(errors), 0.0) + 1e-9
            drawn = rng.choice(
                len(vectors), len(rare), replace=False, p=odds / odds.sum()
            )
            means[rare] = vectors[drawn]
    return means


def _pass_on(stack: PatchStack, values: int) -> None:
    """Makes a stack the identity on its first channels."""
    inside = np.arange(values)
    kernel, bias = (np.array(w) for w in stack.conv_in.get_weights())
    kernel *= _SPARE
    kernel[:, :, :, : values + 1] = 0.0
    kernel[1, 1, inside, inside] = 1.0
    bias[:] = 0.0
    bias[values] = _CONSTANT
    stack.conv_in.set_weights([kernel, bias])
    # What the normalization divides by is undone; the constant goes no
    # further.
    scale = np.full(stack.channels, _CONSTANT / stack.channels**0.5)
    scale[values] = 0.0
    for norm in [block.norm for block in stack.blocks] + [stack.norm_out]:
        norm.set_weights([scale])
    kernel, bias = (np.zeros_like(w) for w in stack.conv_out.get_weights())
    kernel[inside, inside] = 1.0
    stack.conv_out.set_weights([kernel, bias])
