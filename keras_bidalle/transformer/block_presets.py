"""Blocks as well-known models have them: options of generators by a name."""

from collections.abc import Callable
from typing import Any

from keras_bidalle.validation import check_choice


def llama(width: int) -> dict[str, Any]:
    """Of LlamaGen, with the queries and keys of Chameleon and RAR.

    RMSNorm, no biases, SwiGLU with two thirds of the usual hidden channels,
    rounded up to a multiple of 256, and rotations by the image's row and
    column. LlamaGen, arXiv 2406.06525, section 3.2; the norm of queries and
    keys: Chameleon, arXiv 2405.09818, section 2.2.
    """
    return {
        "normalization": "rms",
        "activation": "swiglu",
        "feed_forward_width": -(-(8 * width // 3) // 256) * 256,
        "use_bias": False,
        "qkv_bias": False,
        "query_key_norm": True,
        "rotary": "image",
    }


BLOCK_PRESETS: dict[str, Callable[[int], dict[str, Any]]] = {"llama": llama}


def block_preset(name: str | None, width: int) -> dict[str, Any]:
    """The options that a name stands for; none for `None`.

    Raises:
        ValueError: if there is no such name.
    """
    if name is None:
        return {}
    check_choice(BLOCK_PRESETS, block_preset=name)
    return BLOCK_PRESETS[name](width)
