"""Several processes of one run stop and go on as one."""

import json
import signal
import sys
import time

import keras
import kill_test
import pytest

from keras_bidalle.backend.replicas import any_process, from_first_process
from keras_bidalle.training.distributions.launching import start_processes

WAYS = {"tensorflow": "multiworker", "jax": "data_parallel"}
BACKEND = keras.backend.backend()


def test_one_process_agrees_with_itself():
    assert from_first_process(7) == 7
    assert any_process(True) and not any_process(False)


def start(folder, way, log):
    command = [sys.executable, kill_test.__file__, "--train", folder]
    command += ["--steps", "50", "--pause", "0.02", "--distribution", way]
    return start_processes(command, way, processes=2, stderr=log)


@pytest.mark.skipif(
    BACKEND not in WAYS, reason="Keras has no distribution on torch"
)
def test_a_signal_to_one_stops_both_and_one_may_go_on_alone(tmp_path, capsys):
    way, log = WAYS[BACKEND], open(tmp_path / "log", "w")
    running = start(tmp_path, way, log)
    progress = [tmp_path / f"progress-{k}" for k in range(2)]

    def last_step(path):
        return int(path.read_bytes()[-8:] or 0) if path.is_file() else 0

    try:
        deadline = time.monotonic() + 600
        while last_step(progress[1]) < 7:
            ended = [process.poll() for process in running]
            assert ended == [None, None], (tmp_path / "log").read_text()[-3000:]
            assert time.monotonic() < deadline
            time.sleep(0.01)
        # Not to the one that writes.
        running[1].send_signal(signal.SIGTERM)
        assert [process.wait() for process in running] == [143, 143]
        stopped = last_step(progress[0])
        assert last_step(progress[1]) == stopped < 50
        newest = max((tmp_path / "checkpoints").glob("step-*.npz"))
        assert newest.name == f"step-{stopped:09d}.npz"

        running = start(tmp_path, way, log)
        assert [process.wait() for process in running] == [0, 0]
    finally:
        for process in running:
            process.kill()
    results = [
        json.loads((tmp_path / f"result-{k}.json").read_text())
        for k in range(2)
    ]
    # As many updates as one run makes, and the same weights on both.
    assert results[0] == results[1]
    assert results[0]["steps"] == 25
    told = progress[0].read_bytes()
    steps = [int(told[i : i + 8]) for i in range(0, len(told), 8)]
    assert steps == list(range(1, 51))

    kill_test.train(tmp_path, 75)
    out = capsys.readouterr().out
    assert "written with replicas 2, this run has 1. It goes on from" in out
    alone = json.loads((tmp_path / "result-0.json").read_text())
    assert alone["steps"] == 37
