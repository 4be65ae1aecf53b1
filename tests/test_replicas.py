import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import ops

from keras_bidalle import replicas


def test_one_process_is_one_replica():
    x = ops.convert_to_tensor(np.arange(3.0, dtype="float32"))
    assert replicas.num_replicas() == 1
    assert replicas.replica_id() == 0
    assert replicas.all_reduce_sum(x) is x
    assert replicas.interleave(x) is x


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow",
    reason="tf.distribute is TensorFlow's",
)
def test_replicas_of_a_strategy_see_each_other():
    # A process of its own: devices are split before TensorFlow starts.
    code = """
import numpy as np, tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(
    cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from keras_bidalle import replicas
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
def program():
    here = tf.cast(replicas.replica_id(), "float32")
    rows = tf.range(4.0) + 10.0 * here
    return (replicas.all_reduce_sum(here + 1.0), replicas.interleave(rows),
            tf.constant(replicas.num_replicas()))
with strategy.scope():
    assert replicas.num_replicas() == 1
for run in (program, tf.function(program)):
    total, rows, count = strategy.run(run)
    for values in (total, rows, count):
        a, b = strategy.experimental_local_results(values)
        np.testing.assert_array_equal(a, b)
    assert float(a) == 2 and float(total.values[0]) == 3.0
    np.testing.assert_array_equal(rows.values[0], [0, 11, 2, 13])
"""
    subprocess.run([sys.executable, "-c", code], check=True)
