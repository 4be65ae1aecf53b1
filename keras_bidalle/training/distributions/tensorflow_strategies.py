"""On TensorFlow: its own strategies, and Horovod's processes."""

import functools
import json
import os
from typing import Any

from keras_bidalle.backend.keras_trainer import (
    let_keras_fit_under_strategies,
)
from keras_bidalle.messages import shown
from keras_bidalle.training.distributions.distribution import Distribution


class _Strategy(Distribution):
    """A `tf.distribute.Strategy`, kept in `strategy`."""

    backends = ("tensorflow",)
    strategy: Any

    def scope(self) -> Any:
        let_keras_fit_under_strategies()
        return self.strategy.scope()


class Mirrored(_Strategy):
    """The devices of this machine, in one process.

    Args:
        devices: list of str, such as `["GPU:0", "GPU:1"]`; all GPUs by
            default.
    """

    name = "mirrored"

    def __init__(self, devices: list[str] | None = None) -> None:
        super().__init__()
        self.strategy = _mirrored(None if devices is None else tuple(devices))


@functools.cache
def _mirrored(devices):
    # Two strategies of one program would number their exchanges alike, and
    # the second would meet what is left of the first.
    import tensorflow as tf

    return tf.distribute.MirroredStrategy(devices)


class MultiWorker(_Strategy):
    """A process on each of several machines, and all of its devices.

    Make it before anything else of TensorFlow. `TF_CONFIG` in the
    environment says who takes part:

    ```
    {"cluster": {"worker": ["host0:12345", "host1:12345"]},
     "task": {"type": "worker", "index": 0}}
    ```
    """

    name = "multiworker"

    def __init__(self) -> None:
        super().__init__()
        try:
            cluster = json.loads(os.environ.get("TF_CONFIG", ""))
            workers = cluster["cluster"]["worker"]
            workers[cluster["task"]["index"]]
        except (ValueError, LookupError, TypeError, RecursionError):
            raise ValueError(
                '`distribution="multiworker"` needs TF_CONFIG in the '
                'environment, such as {"cluster": {"worker": ["host0:12345", '
                '"host1:12345"]}, "task": {"type": "worker", "index": 0}}. '
                f"Received: TF_CONFIG={shown(os.environ.get('TF_CONFIG'))}"
            ) from None
        import tensorflow as tf

        self.strategy = tf.distribute.MultiWorkerMirroredStrategy()


class Horovod(Distribution):
    """One of the processes that `horovodrun` started.

    Make it before anything else of TensorFlow: each process gets the GPU
    that is its own.
    """

    name = "horovod"
    backends = ("tensorflow",)

    def __init__(self) -> None:
        super().__init__()
        import tensorflow as tf

        try:
            import horovod.tensorflow as hvd
        # Not found are the symbols of the TensorFlow that it was built for.
        except (ImportError, tf.errors.NotFoundError) as error:
            raise ImportError(
                '`distribution="horovod"` needs Horovod built for the '
                "installed TensorFlow: bash recipes/install_horovod.sh"
            ) from error

        hvd.init()
        devices = tf.config.list_physical_devices("GPU")
        if devices:
            own = devices[hvd.local_rank() % len(devices)]
            tf.config.set_visible_devices(own, "GPU")
            tf.config.experimental.set_memory_growth(own, True)
