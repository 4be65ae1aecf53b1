"""Logits of every position over captions' and images' tokens together."""

from typing import Any

import numpy as np
from keras import ops

# What the published programs give to the other modality's tokens.
_IMPOSSIBLE = float(np.finfo("float32").min)


def joint_logits(generator: Any, inputs: dict) -> Any:
    """Logits of whole rows in their own order, over the joint vocabulary.

    The call of a generator gives those logits that predict something, apart
    by modality. Here each position of [caption][image] or [image][caption]
    has its own, the last one too.

    Args:
        generator: `Generator` with one code a position.
        inputs: dict, as the generator takes when called: `text` (B, T),
            `codes` (B, rows, columns) and `text_to_image` (B,).

    Returns:
        float32 tensor (B, T + P, V + K), V = `captions.text_classes`: the
        caption's tokens, the pads of its positions where the generator has
        such, and the codes. At `[:, i]` stands what is predicted to come
        after position i; tokens of a modality that cannot come there have
        the lowest float32, about -3.4e38.

    Raises:
        ValueError: if the generator has several codes a position.

    Reference:
        Bi-directional DALL-E, arXiv 2112.00384, the released program.
    """
    captions, head, layout = (
        generator.captions,
        generator.head,
        generator.layout,
    )
    if head.codes_per_position != 1:
        raise ValueError(
            "`generator` must have one code a position: a joint vocabulary "
            "has no place for stacks of codes. Received: a "
            f"{type(generator).__name__} with codes_per_position="
            f"{head.codes_per_position}"
        )
    direction = ops.cast(inputs["text_to_image"], "bool")
    x, _ = generator.stream(
        ops.convert_to_tensor(inputs["text"]),
        head.to_positions(inputs["codes"]),
        direction,
    )
    logits = ops.concatenate(
        [captions.logits(x), head.logits(x, None)[..., 0, :]],
        axis=-1,
    )
    place = np.arange(layout.length)
    is_text = np.arange(logits.shape[-1]) < captions.text_classes
    # The last position, which nothing follows, goes with those before it.
    text_next = [
        place >= layout.num_positions - 1,
        place < layout.text_length - 1,
    ]
    possible = np.stack([t[:, None] == is_text[None] for t in text_next])
    possible = ops.take(
        ops.convert_to_tensor(possible), ops.cast(direction, "int32"), axis=0
    )
    return ops.where(possible, logits, _IMPOSSIBLE)
