"""Kills one of two elastic Horovod workers and sees the training finish.

Starts a small training under `horovodrun --min-np 1 --max-np 2` with a
host-discovery script, kills a worker in the middle, offers another place,
and checks that the run ended with the right number of steps, went on without
the worker, and took up a new one. Prints JSON, and fails where it did not.

    python recipes/elastic_test.py
"""

import argparse
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from kill_test import STEPS_PER_EPOCH, build_model, make_batch

# Three names of this machine: Horovod gives up a host where a worker died.
PLACES = ("localhost", "127.0.0.1", "LOCALHOST")


def train(folder, steps, pause):
    """What each worker runs."""
    from keras_bidalle import data, training
    from keras_bidalle.backend import replicas

    training.distribute("horovod")
    told = open(folder / f"worker-{os.getpid()}", "a", buffering=1)

    class Progress(training.StepCallback):
        def on_train_batch_end(self, batch, logs=None):
            rank, size = replicas.data_shard()
            told.write(f"{self.steps_done(batch)} {rank} {size}\n")
            time.sleep(pause)

    model = build_model()
    history = training.elastic_fit(
        model,
        lambda step: data.as_dataset(data.own_rows(make_batch), step),
        training.ElasticCheckpoint(folder / "checkpoints", commit_steps=5),
        epochs=steps // STEPS_PER_EPOCH,
        steps_per_epoch=STEPS_PER_EPOCH,
        callbacks=[Progress()],
    )
    # Two of the program's steps make one of the optimizer's.
    result = {
        "steps": history[-1]["step"],
        "epochs": [row["epoch"] for row in history],
        "updates": int(model.optimizer.iterations),
    }
    told.close()
    (folder / f"result-{os.getpid()}.json").write_text(json.dumps(result))


def workers(folder):
    """dict from pid to a list of (step, rank, number of workers)."""
    found = {}
    for path in folder.glob("worker-*"):
        lines = path.read_text().splitlines()
        rows = [tuple(map(int, line.split())) for line in lines]
        found[int(path.name.removeprefix("worker-"))] = [
            row for row in rows if len(row) == 3
        ]
    return found


def wait_for(condition, process, log, seconds=900):
    deadline = time.monotonic() + seconds
    while not condition():
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"It did not come so far:\n{log.read_text()}")
        time.sleep(0.02)


def observe(folder, steps, seed=0, pause=0.1):
    """Runs the test.

    Returns:
        dict of JSON values; `passed` says how it came out.
    """
    rng = random.Random(seed)
    hosts, script = folder / "hosts", folder / "discover.sh"
    hosts.write_text("".join(f"{place}:1\n" for place in PLACES[:2]))
    script.write_text(f"#!/bin/sh\ncat {hosts}\n")
    script.chmod(0o755)
    log = folder / "log"
    horovodrun = pathlib.Path(sys.executable).with_name("horovodrun")
    command = [
        *(str(horovodrun), "-np", "2", "--min-np", "1", "--max-np", "2"),
        *("--host-discovery-script", str(script), "--gloo"),
        *(sys.executable, os.path.abspath(__file__), "--train", str(folder)),
        *("--steps", str(steps), "--pause", str(pause)),
    ]
    with open(log, "w") as out:
        process = subprocess.Popen(
            command, stdout=out, stderr=out, start_new_session=True
        )
    try:

        def both_reached(step):
            found = workers(folder)
            return len(found) == 2 and all(
                rows and rows[-1][0] >= step for rows in found.values()
            )

        at = rng.randrange(steps // 6, steps // 4)
        wait_for(lambda: both_reached(at), process, log)
        time.sleep(rng.uniform(0, pause))
        found = workers(folder)
        victim = next(p for p, rows in found.items() if rows[-1][1] == 1)
        survivor = next(p for p in found if p != victim)
        os.kill(victim, signal.SIGKILL)
        wait_for(lambda: workers(folder)[survivor][-1][2] == 1, process, log)
        # Another machine is there. That of the victim is given up.
        hosts.write_text("".join(f"{place}:1\n" for place in PLACES))
        wait_for(
            lambda: process.poll() is not None or _done(folder), process, log
        )
        process.wait()
    finally:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    found = workers(folder)
    results = [
        json.loads(path.read_text()) for path in folder.glob("result-*.json")
    ]
    survived = found[survivor]
    newcomers = [p for p in found if p not in (victim, survivor)]
    alone = [step for step, _, size in survived if size == 1]
    right = {
        "steps": steps,
        "epochs": list(range(steps // STEPS_PER_EPOCH)),
        "updates": steps // 2,
    }
    return {
        "steps": steps,
        "killed_at": found[victim][-1][0],
        "went_on_alone_from": alone[0],
        "steps_alone": len(alone),
        "steps_of_the_new_worker": [len(found[p]) for p in newcomers],
        "status": process.returncode,
        "results": results,
        "passed": bool(results) and all(r == right for r in results),
        "picked_up_a_new_worker": any(found[p] for p in newcomers),
    }


def _done(folder):
    return any(folder.glob("result-*.json"))


def main():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--pause", type=float, default=0.1)
    parser.add_argument("--train", type=pathlib.Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.steps % STEPS_PER_EPOCH or options.steps < STEPS_PER_EPOCH:
        parser.error(f"--steps must be a multiple of {STEPS_PER_EPOCH}")
    if options.train is not None:
        train(options.train, options.steps, options.pause)
        return
    folder = pathlib.Path(tempfile.mkdtemp())
    try:
        report = observe(folder, options.steps, options.seed, options.pause)
    finally:
        shutil.rmtree(folder)
    print(json.dumps(report, indent=2))
    sys.exit(0 if report["passed"] and report["picked_up_a_new_worker"] else 1)


if __name__ == "__main__":
    main()
