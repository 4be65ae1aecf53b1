"""Checks inside a graph: the errors that a wrong request gets."""

import tensorflow as tf

from keras_bidalle.sampling.settings import SEED, SETTINGS

INPUT_SETTINGS = {"seed": SEED, **SETTINGS}
# Of a request, and of several that a server has merged.
MAX_ROWS = 256


def require(condition, message, *received):
    """An operation that fails with a message unless a condition holds."""
    data = [f"{message} Received:", *received] if received else [message]
    return tf.debugging.Assert(condition, data, summarize=8)


def require_rows(inputs):
    """Operations that fail unless all inputs have the same number of rows."""
    names = list(inputs)
    rows = [tf.shape(inputs[name])[0] for name in names]
    return [
        require(
            tf.reduce_all(tf.equal(rows[0], rows))
            & (rows[0] > 0)
            & (rows[0] <= MAX_ROWS),
            "All inputs must have the same first dimension, from 1 to "
            f"{MAX_ROWS} ({', '.join(f'`{name}`' for name in names)}).",
            tf.stack(rows),
        )
    ]


def require_settings(inputs):
    """Operations that fail unless a request's settings are in range."""
    checks = []
    for name, values in inputs.items():
        setting = INPUT_SETTINGS[name]
        allowed, expected = setting.within(values), setting.range
        if setting.neutral is not None:
            allowed |= values == setting.neutral
            expected += f"; {setting.neutral:g} keeps everything"
        checks.append(
            require(
                tf.reduce_all(allowed), f"`{name}` must be {expected}.", values
            )
        )
    return checks
