"""Processes that were forked from one whose backend was at work.

The threads of TensorFlow and JAX are not in such a process, and what waits for
them would wait for ever. Neither are those of PyTorch's operations, but those
do without: there it computes on with one thread.
"""

import os
import sys

from keras_bidalle.backend.current import backend_name

_STATE = {"forked_at_work": False}


def check_not_forked() -> None:
    """Raises a `RuntimeError` where the backend would hang."""
    if _STATE["forked_at_work"]:
        raise RuntimeError(
            f"This process was forked after {backend_name()} had begun to "
            "compute, and would wait for ever for threads that it does not "
            "have. Start it with multiprocessing's 'spawn' or 'forkserver' "
            "method instead of 'fork'."
        )


def _in_child():
    # Here everything still looks as it did before the fork.
    if backend_name() == "jax":
        bridge = sys.modules.get("jax._src.xla_bridge")
        at_work = bridge is not None and bridge.backends_are_initialized()
    elif backend_name() == "tensorflow":
        module = sys.modules.get("tensorflow.python.eager.context")
        context = None if module is None else module.context_safe()
        at_work = context is not None and context._initialized
    else:
        at_work = False
        if "torch" in sys.modules:
            sys.modules["torch"].set_num_threads(1)
    _STATE["forked_at_work"] = _STATE["forked_at_work"] or at_work


os.register_at_fork(after_in_child=_in_child)
