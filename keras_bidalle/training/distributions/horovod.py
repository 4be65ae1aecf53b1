"""Horovod: a process for each device, started by `horovodrun`."""

from keras_bidalle.training.distributions.distribution import Distribution


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
