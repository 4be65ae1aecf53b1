"""What the processes that train together agree on between two steps.

`backend.replicas` exchanges inside a step; here whole processes agree on
the step to go on from, and on whether to stop.
"""

import functools

import numpy as np

from keras_bidalle.backend import replicas
from keras_bidalle.backend.current import backend_name


def from_first_process(number: int) -> int:
    """Makes all processes take the first one's number.

    Args:
        number: int from 0 to 2^31 - 1; all but the first process's are
            ignored.

    Returns:
        int, the same on all processes.
    """
    first = replicas.is_first_process()
    return _sum_over_processes(number if first else 0)


def any_process(flag: bool) -> bool:
    """Whether the flag is set on at least one process.

    Args:
        flag: bool.

    Returns:
        bool, the same on all processes.
    """
    return _sum_over_processes(int(flag)) > 0


def _sum_over_processes(number):
    if replicas.data_shard()[1] == 1:
        return number
    return int(_SUMS[backend_name()](number))


def _tensorflow_sum(number):
    import tensorflow as tf

    hvd = replicas.horovod()
    if hvd is not None:
        return hvd.allreduce(tf.constant(number, "int64"), op=hvd.Sum).numpy()
    strategy = tf.distribute.get_strategy()
    total = _sum_under(strategy)(tf.constant(number, "int64"))
    return strategy.experimental_local_results(total)[0].numpy()


@functools.cache
def _sum_under(strategy):
    import tensorflow as tf

    def one(number):
        # Of several replicas of a process the first one counts.
        context = tf.distribute.get_replica_context()
        local = len(strategy.extended.worker_devices)
        speaks = context.replica_id_in_sync_group % local == 0
        return context.all_reduce("SUM", tf.where(speaks, number, 0))

    return tf.function(lambda number: strategy.run(one, args=(number,)))


def _jax_sum(number):
    from jax.experimental import multihost_utils

    return multihost_utils.process_allgather(np.int32(number)).sum()


def _torch_sum(number):
    import torch

    total = torch.tensor(number)
    torch.distributed.all_reduce(total)
    return total


_SUMS = {
    "tensorflow": _tensorflow_sum,
    "jax": _jax_sum,
    "torch": _torch_sum,
}
