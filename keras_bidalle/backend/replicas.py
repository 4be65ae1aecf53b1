"""Who else is training: the one place that knows.

Everything that must see the global batch (codebook statistics, loss scales)
asks here. On one process every answer is the trivial one. JAX with
`keras.distribution` is that case too: its program is written for the global
batch, and the compiler puts the collectives in.
"""

import functools
import sys
from typing import Any

import numpy as np

from keras_bidalle.backend.current import backend_name, is_tensorflow


class _OneReplica:
    """The answers where nobody else is training."""

    count = 1
    index = 0

    def all_reduce_sum(self, x):
        return x

    def all_gather(self, x):
        return x

    def share_of_loss(self, loss):
        return loss

    def reduce_gradients(self, gradients):
        return gradients


class _TensorFlowReplica(_OneReplica):
    """The answers inside a replica of a `tf.distribute` strategy."""

    def __init__(self, context):
        self.context = context
        self.count = context.num_replicas_in_sync
        self.index = context.replica_id_in_sync_group

    def all_reduce_sum(self, x):
        return self.context.all_reduce("SUM", x)

    def all_gather(self, x):
        return self.context.all_gather(x, axis=0)

    def share_of_loss(self, loss):
        return loss / self.count

    def reduce_gradients(self, gradients):
        return self.context.all_reduce("SUM", gradients)


class _HorovodReplica(_OneReplica):
    """The answers in one of the processes that `horovodrun` started."""

    def __init__(self, hvd):
        self.hvd = hvd
        self.count = hvd.size()
        self.index = hvd.rank()

    def all_reduce_sum(self, x):
        return self.hvd.allreduce(x, op=self.hvd.Sum)

    def all_gather(self, x):
        return self.hvd.allgather(x)

    # Keras knows nothing of Horovod and leaves its own losses whole. So ours
    # stay whole too, and the gradients' mean is taken.
    def reduce_gradients(self, gradients):
        import tensorflow as tf

        dense = [tf.convert_to_tensor(gradient) for gradient in gradients]
        return self.hvd.grouped_allreduce(dense, op=self.hvd.Average)


def horovod() -> Any:
    """The module `horovod.tensorflow`, once it is initialized, or `None`."""
    hvd = sys.modules.get("horovod.tensorflow")
    return hvd if hvd is not None and hvd.is_initialized() else None


def _here():
    if not is_tensorflow():
        return _OneReplica()
    hvd = horovod()
    if hvd is not None and hvd.size() > 1:
        return _HorovodReplica(hvd)

    import tensorflow as tf

    context = tf.distribute.get_replica_context()
    # Outside the replicas (building a model under `strategy.scope()`) there
    # is no one to exchange with.
    if context is None or context.num_replicas_in_sync == 1:
        return _OneReplica()
    return _TensorFlowReplica(context)


def num_replicas() -> int:
    """Number of replicas that train together; 1 outside a replica."""
    return _here().count


def replica_id() -> Any:
    """Which of the replicas this one is, from 0: int or int32 scalar tensor."""
    return _here().index


def all_reduce_sum(x: Any) -> Any:
    """Sums a float tensor of one shape over all replicas.

    Its gradient is the sum of the replicas' gradients.
    """
    return _here().all_reduce_sum(x)


def all_reduce_mean(x: Any) -> Any:
    """Averages a tensor over all replicas, as `all_reduce_sum`."""
    here = _here()
    return x if here.count == 1 else here.all_reduce_sum(x) / here.count


def all_gather(x: Any) -> Any:
    """Joins the rows of all replicas, in the order of the replicas."""
    return _here().all_gather(x)


def share_of_loss(loss: Any) -> Any:
    """What this replica adds to a loss, the mean over its rows.

    A strategy of `tf.distribute` sums gradients over the replicas, so that
    each may only add its part. Keras does so for its own losses; a
    `compute_loss` of your own must.
    """
    return _here().share_of_loss(loss)


def reduce_gradients(gradients: list) -> list:
    """Gradients of the global batch's loss, out of each replica's own."""
    here = _here()
    known = [gradient for gradient in gradients if gradient is not None]
    if here.count == 1 or not known:
        return gradients
    reduced = iter(here.reduce_gradients(known))
    return [
        gradient if gradient is None else next(reduced)
        for gradient in gradients
    ]


def planned() -> int:
    """Number of replicas that a step of `fit` begun here would have.

    Known before the step, where models are made and compiled.
    """
    if not is_tensorflow():
        return 1
    hvd = horovod()
    if hvd is not None:
        return hvd.size()

    import tensorflow as tf

    return tf.distribute.get_strategy().num_replicas_in_sync


def _tensorflow_process():
    hvd = horovod()
    if hvd is not None:
        return hvd.rank(), hvd.size()

    import tensorflow as tf

    resolver = tf.distribute.get_strategy().cluster_resolver
    if resolver is None or not resolver.cluster_spec().as_dict():
        return 0, 1
    workers = resolver.cluster_spec().num_tasks("worker")
    return resolver.task_id, workers


def _jax_process():
    import jax

    return jax.process_index(), jax.process_count()


def _torch_process():
    from torch import distributed

    if not (distributed.is_available() and distributed.is_initialized()):
        return 0, 1
    return distributed.get_rank(), distributed.get_world_size()


_PROCESSES = {
    "tensorflow": _tensorflow_process,
    "jax": _jax_process,
    "torch": _torch_process,
}


def data_shard() -> tuple[int, int]:
    """Tuple (k, n): this process reads of every n records the k-th.

    On TensorFlow several replicas of one process share what it reads: `fit`
    under a strategy gives every replica its part of each batch.
    """
    find = _PROCESSES.get(backend_name())
    return find() if find else (0, 1)


def is_first_process() -> bool:
    """Whether this process is the one that writes files and prints."""
    return data_shard()[0] == 0


def from_first_process(number: int) -> int:
    """Makes all processes take the first one's number, below 2^31."""
    first = is_first_process()
    return _sum_over_processes(number if first else 0)


def any_process(flag: bool) -> bool:
    """Whether the flag is set on at least one process."""
    return _sum_over_processes(int(flag)) > 0


def _sum_over_processes(number):
    if data_shard()[1] == 1:
        return number
    return int(_SUMS[backend_name()](number))


def _tensorflow_sum(number):
    import tensorflow as tf

    hvd = horovod()
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
