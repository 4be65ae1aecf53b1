"""Cross-entropy of tokens, in nats."""

from typing import Any

from keras import ops


def cross_entropy(logits: Any, targets: Any) -> Any:
    """Cross-entropy in nats: float32 logits (..., V), int (...) to (...)."""
    picked = ops.take_along_axis(
        logits, ops.cast(targets, "int32")[..., None], axis=-1
    )[..., 0]
    return ops.logsumexp(logits, axis=-1) - picked
