import numpy as np
from keras import ops

from keras_bidalle.backend import replicas


def test_one_process_is_one_replica():
    x = ops.convert_to_tensor(np.arange(3.0, dtype="float32"))
    assert replicas.num_replicas() == 1
    assert replicas.replica_id() == 0
    assert replicas.all_reduce_sum(x) is x
    assert replicas.all_reduce_mean(x) is x
    assert replicas.all_gather(x) is x
    assert replicas.share_of_loss(x) is x
    assert replicas.planned() == 1
    assert replicas.data_shard() == (0, 1) and replicas.is_first_process()


def test_replicas_of_a_strategy_see_each_other(two_devices):
    code = """
from keras_bidalle.backend import replicas
strategy = tf.distribute.MirroredStrategy(devices)
def program():
    here = tf.cast(replicas.replica_id(), "float32")
    rows = tf.range(3.0)[:, None] + 10.0 * here
    none, mean = replicas.reduce_gradients([None, here + 1.0])
    assert none is None
    return (replicas.all_reduce_sum(here + 1.0), mean,
            replicas.share_of_loss(here), replicas.all_gather(rows)[:, 0],
            tf.constant(replicas.num_replicas()))
with strategy.scope():
    assert replicas.num_replicas() == 1 and replicas.planned() == 2
    assert replicas.data_shard() == (0, 1)
for run in (program, tf.function(program)):
    results = [strategy.experimental_local_results(values)
               for values in strategy.run(run)]
    total, summed, share, rows, count = results
    for values in (total, summed, rows, count):
        np.testing.assert_array_equal(*values)
    assert float(total[0]) == float(summed[0]) == 3.0
    assert float(share[1]) == 0.5 and int(count[0]) == 2
    np.testing.assert_array_equal(rows[0], [0, 1, 2, 10, 11, 12])
"""
    two_devices(code)
