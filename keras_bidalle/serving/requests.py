"""Checks inside a graph: what a caller is told of a request that is wrong."""

import tensorflow as tf


def require(condition, message, *received):
    """An operation that fails with a message unless a condition holds.

    Args:
        condition: bool scalar tensor.
        message: str, what was expected.
        *received: tensors, what came; the first elements are shown.

    Returns:
        `tf.Operation`, for `tf.control_dependencies`.
    """
    data = [f"{message} Received:", *received] if received else [message]
    return tf.debugging.Assert(condition, data, summarize=8)


def require_rows(inputs):
    """Operations that fail unless all inputs have the same number of rows.

    Args:
        inputs: dict from name to tensor (B, ...).
    """
    names = list(inputs)
    rows = [tf.shape(inputs[name])[0] for name in names]
    return [
        require(
            tf.reduce_all(tf.equal(rows[0], rows)) & (rows[0] > 0),
            "All inputs must have the same first dimension, of at least 1 "
            f"({', '.join(f'`{name}`' for name in names)}).",
            tf.stack(rows),
        )
    ]


def require_settings(seed, temperature, top_k, top_p, guidance_scale=None):
    """Operations that fail unless a request's settings are in range."""
    checks = [
        require(tf.reduce_all(seed >= 0), "`seed` must be at least 0.", seed),
        require(
            # NaN fails too.
            tf.reduce_all(temperature >= 0)
            & tf.reduce_all(tf.math.is_finite(temperature)),
            "`temperature` must be finite and at least 0.",
            temperature,
        ),
        require(
            tf.reduce_all(top_k >= 0),
            "`top_k` must be at least 1, or 0 to keep everything.",
            top_k,
        ),
        require(
            tf.reduce_all((top_p > 0) & (top_p <= 1)),
            "`top_p` must be in (0, 1].",
            top_p,
        ),
    ]
    if guidance_scale is not None:
        checks.append(
            require(
                tf.reduce_all(guidance_scale >= 0)
                & tf.reduce_all(tf.math.is_finite(guidance_scale)),
                "`guidance_scale` must be finite and at least 0.",
                guidance_scale,
            )
        )
    return checks
