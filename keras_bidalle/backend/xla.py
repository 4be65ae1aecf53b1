"""Whether what runs now is compiled by XLA.

JAX always compiles with XLA, torch never does, and TensorFlow does except
for what a stock TensorFlow Serving has to run.
"""

import contextlib
import contextvars
from collections.abc import Iterator

from keras_bidalle.backend.current import is_eager

_WITHOUT_XLA = contextvars.ContextVar("without_xla", default=False)


@contextlib.contextmanager
def without_xla() -> Iterator[None]:
    """What TensorFlow traces inside has its own operations alone.

    `ops.slice_update`, for one, is an operation of XLA there, even in a
    function that is not compiled by it, and servers refuse those.
    """
    token = _WITHOUT_XLA.set(True)
    try:
        yield
    finally:
        _WITHOUT_XLA.reset(token)


def has_xla() -> bool:
    """Whether sampling is compiled by XLA."""
    return not is_eager() and not _WITHOUT_XLA.get()
