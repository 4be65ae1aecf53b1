"""What no argument should be, and what an error about it must look like."""

import numpy as np
import pytest

from keras_bidalle.messages import MAX_LENGTH


class Unshowable:
    def __repr__(self):
        return "\x1b[31m\n" * 10**5


VALUES = {
    "text": "\x1b[31m\n" * 10**4,
    "list": [[0] * 1000] * 100,
    "numbers": np.full((40, 40), np.nan),
    "object": Unshowable(),
    "dict": {"\x1b\n" * 1000: {"a": [None] * 1000}, 0: 0},
}
ERRORS = (ValueError, TypeError, FileNotFoundError, FileExistsError)


def told(call, value, errors=ERRORS):
    """The error that a call gives: one short printable line."""
    with pytest.raises(errors) as raised:
        call(value)
    message = str(raised.value)
    assert message and message.isprintable(), message[:400]
    assert len(message) <= MAX_LENGTH, message[:400]
    return message
