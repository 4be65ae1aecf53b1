"""The kill test in small; under Horovod it is in `test_horovod.py`."""

import json
import random
import signal

import kill_test
import small_training


def result(folder):
    return json.loads((folder / "result-0.json").read_text())


def test_killed_and_stopped_runs_end_with_the_weights_of_a_whole_one(tmp_path):
    steps = 2 * small_training.STEPS_PER_EPOCH
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    kill_test.train(whole, steps)
    run, rng = kill_test.Run(cut, steps), random.Random(0)
    killed = run.interrupt(11, 0.01, signal.SIGKILL, rng)
    assert killed["status"] == -signal.SIGKILL
    assert 0 < killed["saved"] <= killed["at_step"]
    stopped = run.interrupt(31, 0.01, signal.SIGTERM, rng)
    assert stopped["resumed_from"] == killed["saved"]
    assert stopped["status"] == 143
    # Not a step is lost.
    assert stopped["saved"] == stopped["at_step"] < steps
    kill_test.train(cut, steps)
    assert result(cut) == result(whole)
