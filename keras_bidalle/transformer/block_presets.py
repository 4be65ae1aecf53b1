"""Blocks as well-known models have them: options of generators by a name."""

from collections.abc import Callable
from typing import Any

from keras_bidalle.messages import shown


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
    if name not in BLOCK_PRESETS:
        raise ValueError(
            f"`block_preset` must be one of {', '.join(BLOCK_PRESETS)}, or "
            f"None. Received: block_preset={shown(name)}"
        )
    return BLOCK_PRESETS[name](width)
