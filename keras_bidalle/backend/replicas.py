"""Who else is training: the one place that knows.

Everything that must see the global batch (codebook statistics, loss scales)
asks here, so that the rest of the library is written as if for one process.
On one process every answer is the trivial one. JAX with `keras.distribution`
is that case too: its program is written for the global batch, and the
compiler puts the collectives in.
"""

import sys
from typing import Any

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
    """The module of Horovod, where the program has initialized it.

    Returns:
        `horovod.tensorflow`, or `None`.
    """
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
    """Number of replicas that train together.

    Returns:
        int, 1 on one process and outside a replica.
    """
    return _here().count


def replica_id() -> Any:
    """Which of the replicas this one is.

    Returns:
        int, or a scalar int32 tensor in traced code, in
        [0, `num_replicas()`); 0 on one process.
    """
    return _here().index


def all_reduce_sum(x: Any) -> Any:
    """Sums a tensor over all replicas.

    Its gradient is the sum of the replicas' gradients.

    Args:
        x: float tensor, of the same shape on every replica.

    Returns:
        Tensor like `x`, the same on every replica; `x` itself on one process.
    """
    return _here().all_reduce_sum(x)


def all_reduce_mean(x: Any) -> Any:
    """Averages a tensor over all replicas, as `all_reduce_sum`."""
    here = _here()
    return x if here.count == 1 else here.all_reduce_sum(x) / here.count


def all_gather(x: Any) -> Any:
    """Joins the rows of all replicas, in the order of the replicas.

    Args:
        x: float tensor (n, ...), with as many rows as this replica has.

    Returns:
        Tensor (sum of n, ...), the same on every replica; `x` itself on one
        process.
    """
    return _here().all_gather(x)


def share_of_loss(loss: Any) -> Any:
    """What this replica adds to a loss that is a mean over the global batch.

    A strategy of `tf.distribute` sums gradients over the replicas, so that
    each may only add its part. Keras does so for its own losses; a
    `compute_loss` of your own must.

    Args:
        loss: float scalar tensor, the mean over this replica's rows.

    Returns:
        float scalar tensor; `loss` itself on one process.
    """
    return _here().share_of_loss(loss)


def reduce_gradients(gradients: list) -> list:
    """Gradients of the global batch's loss, out of each replica's own.

    Args:
        gradients: list of tensors or `None`.

    Returns:
        List like `gradients`, the same on every replica; `gradients` itself
        on one process.
    """
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

    Unlike `num_replicas` it knows so before the step, where models are made
    and compiled.

    Returns:
        int.
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
    """Which share of the data this process reads.

    On TensorFlow several replicas of one process share what it reads: `fit`
    under a strategy gives every replica its part of each batch.

    Returns:
        Tuple of ints (k, n): of every n records the k-th; (0, 1), all of
        them, on one process.
    """
    find = _PROCESSES.get(backend_name())
    return find() if find else (0, 1)


def is_first_process() -> bool:
    """Whether this process is the one that writes files and prints.

    Returns:
        bool, `True` on one process.
    """
    return data_shard()[0] == 0
