"""Who else is training: the one place that knows.

Everything that must see the global batch (codebook statistics, loss scales)
asks here, so that the rest of the library is written as if for one process.
On one process every answer is the trivial one. JAX with `keras.distribution`
is that case too: its program is written for the global batch, and the
compiler puts the collectives in.
"""

import keras
from keras import ops


class _OneReplica:
    """The answers where nobody else is training."""

    count = 1
    index = 0

    def all_reduce_sum(self, x):
        return x


class _TensorFlowReplica:
    """The answers inside a replica of a `tf.distribute` strategy."""

    def __init__(self, context):
        self.context = context
        self.count = context.num_replicas_in_sync
        self.index = context.replica_id_in_sync_group

    def all_reduce_sum(self, x):
        return self.context.all_reduce("SUM", x)


def _tensorflow_replica():
    import tensorflow as tf

    context = tf.distribute.get_replica_context()
    # Outside the replicas (building a model under `strategy.scope()`) there
    # is no one to speak to.
    if context is None or context.num_replicas_in_sync == 1:
        return None
    return _TensorFlowReplica(context)


_FINDERS = {"tensorflow": _tensorflow_replica}


def _here():
    find = _FINDERS.get(keras.backend.backend())
    return (find and find()) or _OneReplica()


def num_replicas():
    """Number of replicas that train together.

    Returns:
        int, 1 on one process and outside a replica.
    """
    return _here().count


def replica_id():
    """Which of the replicas this one is.

    Returns:
        int, or a scalar int32 tensor in traced code, in
        [0, `num_replicas()`); 0 on one process.
    """
    return _here().index


def all_reduce_sum(x):
    """Sums a tensor over all replicas.

    Args:
        x: float tensor, of the same shape on every replica.

    Returns:
        Tensor like `x`, the same on every replica; `x` itself on one process.
    """
    return _here().all_reduce_sum(x)


def interleave(rows):
    """Makes one choice out of every replica's rows: row k from replica k mod n.

    The result is the same on every replica, without any randomness in common.

    Args:
        rows: float tensor (K, ...), of the same shape on every replica.

    Returns:
        Tensor like `rows`; `rows` itself on one process.
    """
    here = _here()
    if here.count == 1:
        return rows
    owner = ops.arange(rows.shape[0], dtype="int32") % here.count
    mine = ops.equal(owner, ops.cast(here.index, "int32"))
    mine = ops.reshape(mine, (-1,) + (1,) * (len(rows.shape) - 1))
    return here.all_reduce_sum(ops.where(mine, rows, ops.zeros_like(rows)))


def _jax_shard():
    import jax

    return jax.process_index(), jax.process_count()


def _torch_shard():
    from torch import distributed

    if not (distributed.is_available() and distributed.is_initialized()):
        return 0, 1
    return distributed.get_rank(), distributed.get_world_size()


# On TensorFlow, `fit` under a strategy gives every replica its share of each
# batch of a `tf.data.Dataset`.
_SHARDS = {"jax": _jax_shard, "torch": _torch_shard}


def data_shard():
    """Which share of the data this process reads.

    Returns:
        Tuple of ints (k, n): of every n records the k-th; (0, 1), all of
        them, on one process.
    """
    find = _SHARDS.get(keras.backend.backend())
    return find() if find else (0, 1)
