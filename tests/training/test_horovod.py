"""What several Horovod processes do together beside `fit` itself.

Skipped where Horovod is not installed: `bash recipes/install_horovod.sh`.
"""

import importlib.util
import json
import os
import pathlib
import sys

import elastic_test
import keras
import kill_test
import numpy as np
import pytest

from keras_bidalle.training import ScaledLearningRate
from keras_bidalle.training.distributions.launching import start_processes

needs_horovod = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow"
    or importlib.util.find_spec("horovod") is None,
    reason="needs Horovod on TensorFlow",
)

WORK = """
import json, sys
import keras
import numpy as np
from keras_bidalle import training
from keras_bidalle.backend.noise import Dropout
from small_training import build_model

training.distribute("horovod")
import horovod.tensorflow as hvd

rank = hvd.rank()
model = build_model()
model.optimizer.build(model.trainable_variables)
variables = [*model.variables, *model.optimizer.variables]
for variable in variables:
    variable.assign(keras.ops.ones_like(variable) * (rank + 3))
broadcast = training.BroadcastState()
broadcast.set_model(model)
broadcast.on_train_begin()
values = sorted({float(np.max(v.numpy())) for v in variables})
logs = {"loss": float(rank), "accuracy": 2.0 * rank}
training.AverageMetrics().on_epoch_end(0, logs)
dropout = Dropout(0.5, seed=3)
noise = dropout(np.ones(64, "float32"), training=True).numpy().tolist()
state = dropout.seed_generator.state.numpy().tolist()
result = {"values": values, "logs": logs, "noise": noise, "state": state}
with open(sys.argv[1] + str(rank), "w") as file:
    json.dump(result, file)
"""


@needs_horovod
def test_processes_share_state_and_metrics_and_not_their_noise(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(WORK)
    repository = pathlib.Path(__file__).parents[2]
    checks = repository / "recipes" / "checks"
    (running,) = start_processes(
        [sys.executable, program, tmp_path / "result"],
        "horovod",
        processes=2,
        environment={"PYTHONPATH": f"{repository}{os.pathsep}{checks}"},
    )
    assert running.wait() == 0
    results = [
        json.loads((tmp_path / f"result{rank}").read_text()) for rank in (0, 1)
    ]
    for result in results:
        # Codebooks, seeds and the optimizer's state included.
        assert result["values"] == [3.0]
        assert result["logs"] == {"loss": 0.5, "accuracy": 1.0}
    assert results[0]["noise"] != results[1]["noise"]
    assert results[0]["state"] == results[1]["state"]


@needs_horovod
def test_two_processes_go_on_after_kills_as_if_nothing_had_been(tmp_path):
    report = kill_test.compare(tmp_path, kills=2, steps=50, processes=2)
    assert report["equal"], report
    assert report["steps_lost_by_sigterm"] == 0, report


@needs_horovod
def test_training_goes_on_without_a_worker_and_takes_up_a_new_one(tmp_path):
    report = elastic_test.observe(tmp_path, steps=300)
    assert report["passed"], report
    assert report["status"] == 0, report
    assert report["went_on_alone_from"] <= report["killed_at"] + 1, report
    assert report["picked_up_a_new_worker"], report


def test_the_rate_rises_to_that_of_all_replicas():
    rate = ScaledLearningRate(0.1, num_replicas=4, warmup_steps=10)
    found = [float(rate(step)) for step in (0, 5, 10, 99)]
    # Equation: 0.1 (1 + 3 min(step / 10, 1)).
    np.testing.assert_allclose(found, [0.1, 0.25, 0.4, 0.4], rtol=1e-6)
    assert float(ScaledLearningRate(0.1, 4)(0)) == pytest.approx(0.4)


def test_a_schedule_is_scaled_too_and_comes_back_from_its_configuration():
    decay = keras.optimizers.schedules.CosineDecay(0.1, 10)
    rate = ScaledLearningRate(decay, num_replicas=2)
    again = ScaledLearningRate.from_config(rate.get_config())
    for step in (0, 4, 10):
        expected = 2 * float(decay(step))
        assert float(rate(step)) == pytest.approx(expected)
        assert float(again(step)) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_replicas": 0}, "`num_replicas` must be a positive"),
        (
            {"num_replicas": 1, "warmup_steps": -1},
            "`warmup_steps` must be a number of at least 0",
        ),
    ],
)
def test_scales_out_of_range_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        ScaledLearningRate(0.1, **arguments)
