"""Replicas that train as one process would.

Each test that needs several devices or processes starts them as programs of
their own: devices are split before a backend starts. All cases, in all ways,
are run by `recipes/checks/compare_distributions.py`; here is a small core of
them.
"""

import importlib.util
import os
import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest

from keras_bidalle import data, training
from keras_bidalle.backend import replicas

REPOSITORY = pathlib.Path(__file__).parents[2]
CHECKS = REPOSITORY / "recipes" / "checks"
BACKEND = keras.backend.backend()

only_tensorflow = pytest.mark.skipif(
    BACKEND != "tensorflow", reason="tf.distribute is TensorFlow's"
)
only_jax = pytest.mark.skipif(
    BACKEND != "jax", reason="keras.distribution is JAX's"
)

TWO_DEVICES = """
import tensorflow as tf
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0],
    [tf.config.LogicalDeviceConfiguration()] * 2)
import keras, numpy as np
from keras import ops
devices = ["CPU:0", "CPU:1"]
def each(strategy, function):
    values = tf.function(lambda: strategy.run(function))()
    return [np.array(v) for v in strategy.experimental_local_results(values)]
"""


def run(*command):
    """Ends well, or the test fails with what the program said."""
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    result = subprocess.run(
        [sys.executable, *command],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stdout + result.stderr[-3000:]
    return result.stdout


def compare(ways, *cases):
    program = str(CHECKS / "compare_distributions.py")
    return run(program, "--ways", *ways.split(), "--cases", *cases)


@only_tensorflow
def test_two_devices_train_as_one_does_and_skip_what_overflows_on_one():
    compare(
        "mirrored",
        "ema+gan/adam-clipped",
        "rq/accumulating",
        "bidirectional/overflow",
    )


@only_tensorflow
def test_two_tensorflow_processes_train_as_one_does():
    compare("multiworker", "bidirectional/adam-clipped")


@only_jax
def test_two_jax_devices_train_as_one_does():
    compare("data_parallel", "ema+gan/adam-clipped")


@only_jax
def test_a_generator_cut_over_two_devices_trains_as_a_whole_one():
    compare("model_parallel", "bidirectional/adam-clipped")


@only_jax
def test_a_generators_large_weights_lie_on_all_devices_in_parts():
    code = """
import os
os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=2"
from keras_bidalle import generators, training
with training.distribute("model_parallel").scope():
    model = generators.BidirectionalTransformer(
        text_vocabulary_size=8, text_length=4, num_codes=8,
        code_shape=(2, 2), width=16, depth=1, num_heads=2)
block = model.transformer.blocks[0]
for layer, part in ((block.to_qkv, (16, 24)), (block.to_out, (8, 16)),
                    (block.expand, (16, 32)), (block.contract, (32, 16))):
    shards = layer.kernel.value.addressable_shards
    assert [shard.data.shape for shard in shards] == [part] * 2, layer
assert model.captions.head.value.is_fully_replicated
"""
    run("-c", code)


@pytest.mark.skipif(
    BACKEND != "tensorflow" or importlib.util.find_spec("horovod") is None,
    reason="needs Horovod: recipes/install_horovod.sh",
)
def test_horovod_trains_as_one_and_its_stock_optimizer_does_not():
    compare("horovod horovod-stock", "ema/adam-clipped")


@only_tensorflow
def test_the_comparison_fails_where_keras_sums_gradients_too_late():
    code = (
        TWO_DEVICES
        + f"""
import sys
sys.path.insert(0, {str(CHECKS)!r})
import distribution_cases
from keras_bidalle import training
start, alone = distribution_cases.train("bidirectional/adam-clipped")
alone = alone.get_weights()
# As Keras itself does it.
from keras_bidalle.generators import generator as generators
generators.synchronized = lambda optimizer: optimizer
keras.backend.clear_session()
with training.distribute("mirrored", devices=devices).scope():
    _, model = distribution_cases.train("bidirectional/adam-clipped")
gap = max(np.abs(a - b).max() for a, b in zip(alone, model.get_weights()))
assert gap > 1e-4, gap
"""
    )
    run("-c", code)


@only_tensorflow
def test_replicas_draw_different_noise_and_keep_the_same_state():
    code = (
        TWO_DEVICES
        + """
from keras_bidalle import quantizers, training
from keras_bidalle.backend.noise import Dropout
distribution = training.distribute("mirrored", devices=devices)
with distribution.scope():
    dropout = Dropout(0.5, seed=3)
    quantizer = quantizers.GumbelQuantizer(6, 4, seed=0)
    quantizer.build((None, 4))
x = np.ones((8, 4), "float32")
for layer in (dropout, quantizer):
    first, second = each(
        distribution.strategy, lambda: layer(x, training=True))
    assert np.abs(first - second).max() > 1e-3, layer
    state = layer.seed_generator.state.value.values
    np.testing.assert_array_equal(state[0], state[1])
    assert state[0].numpy()[1] == 1
"""
    )
    run("-c", code)


@only_tensorflow
def test_losses_of_a_layer_that_exchanges_statistics_stay_its_replicas_own():
    # Keras empties a layer's losses when the next replica begins.
    code = (
        TWO_DEVICES
        + """
from keras_bidalle import quantizers, training
strategy = training.distribute("mirrored", devices=devices).strategy
with strategy.scope():
    # No step at the start that makes every latent a code.
    quantizer = quantizers.EMAVectorQuantizer(6, 4, kmeans_steps=0, seed=0)
    quantizer.build((None, 4))
def losses():
    replica = tf.distribute.get_replica_context().replica_id_in_sync_group
    z = tf.ones((8, 4)) * tf.cast(1 + 9 * replica, "float32")
    quantizer(z, training=True)
    assert len(quantizer.losses) == 1, quantizer.losses
    return quantizer.losses[0]
first, second = each(strategy, losses)
assert first != second, (first, second)
"""
    )
    run("-c", code)


@only_tensorflow
def test_keras_still_needs_its_two_fixes():
    code = (
        TWO_DEVICES
        + """
strategy = tf.distribute.MirroredStrategy(devices)
with strategy.scope():
    inputs = keras.Input((1,), dtype="bool")
    outputs = keras.layers.Dense(1)(ops.cast(inputs, "float32"))
    model = keras.Model(inputs, outputs)
    model.compile("sgd", "mse")
x = np.ones((4, 1), "bool")
try:
    model.fit(x, x, batch_size=4, verbose=0)
except tf.errors.InvalidArgumentError:
    needed = True
else:
    needed = False
import inspect
from keras.src.backend.tensorflow import trainer
along_axis = 'strategy.reduce("MEAN", v, axis=0)' in inspect.getsource(
    trainer.reduce_per_replica)
assert needed or along_axis, (
    "Keras runs under strategies now: remove "
    "keras_bidalle/backend/keras_trainer.py")
from keras_bidalle.backend import keras_trainer
keras_trainer.let_keras_fit_under_strategies()
model.fit(x, x, batch_size=4, verbose=0)
"""
    )
    run("-c", code)


def test_one_process_costs_nothing():
    optimizer = keras.optimizers.SGD(0.1)
    before = dict(vars(optimizer))
    assert training.synchronized(optimizer) is optimizer
    assert vars(optimizer).keys() == before.keys()
    gradients = [keras.ops.ones(2)]
    assert replicas.reduce_gradients(gradients) is gradients
    batch = lambda number: number  # noqa: E731
    assert data.own_rows(batch) is batch


def test_none_is_a_distribution_too():
    distribution = training.distribute()
    with distribution.scope():
        assert distribution.num_replicas == 1
        assert distribution.shard == (0, 1) and distribution.is_first_process


@pytest.mark.parametrize(
    "name",
    [
        name
        for name, kind in training.DISTRIBUTIONS.items()
        if BACKEND not in kind.backends
    ],
)
def test_a_distribution_of_another_backend_is_refused(name):
    with pytest.raises(ValueError, match=f"{name}.* needs the backend"):
        training.distribute(name)


def test_an_unknown_distribution_is_refused():
    with pytest.raises(ValueError, match="`name` must be one of none, mirr"):
        training.distribute("mirrord")


@only_tensorflow
def test_workers_must_be_told_of_each_other(monkeypatch):
    monkeypatch.setenv("TF_CONFIG", '{"cluster": {}}')
    with pytest.raises(ValueError, match="needs TF_CONFIG"):
        training.distribute("multiworker")


@only_tensorflow
def test_without_horovod_the_script_that_builds_it_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "horovod.tensorflow", None)
    with pytest.raises(ImportError, match="bash recipes/install_horovod.sh"):
        training.distribute("horovod")


def test_processes_share_the_rows_of_a_batch():
    def batch(number):
        return {"x": np.arange(6) + number, "y": np.ones((6, 2))}

    first, second = (data.own_rows(batch, (k, 2))(10) for k in range(2))
    np.testing.assert_array_equal(first["x"], [10, 11, 12])
    np.testing.assert_array_equal(second["x"], [13, 14, 15])
    assert first["y"].shape == (3, 2)
    with pytest.raises(ValueError, match="for each of 4 processes"):
        data.own_rows(batch, (0, 4))(0)
