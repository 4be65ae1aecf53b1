"""Kills one of two elastic Horovod workers and sees the training finish.

Starts a small training under `horovodrun --min-np 1 --max-np 2` with a
host-discovery script, kills a worker in the middle, offers another place,
and checks that the run ended with the right number of steps, went on without
the worker, and took up a new one. Prints JSON, and fails where it did not.

    python recipes/checks/elastic_test.py
"""

import os
import random
import signal
import subprocess
import sys
import time

import small_training
from small_training import STEPS_PER_EPOCH, end_group, wait_for

from keras_bidalle.training.distributions.launching import horovodrun

# Three names of this machine: Horovod gives up a host where a worker died.
PLACES = ("localhost", "127.0.0.1", "LOCALHOST")


def train(folder, steps, pause):
    """What each worker runs."""
    from keras_bidalle import training
    from keras_bidalle.backend import replicas

    training.distribute("horovod")
    told = open(folder / f"worker-{os.getpid()}", "a", buffering=1)

    def tell(step):
        rank, size = replicas.data_shard()
        told.write(f"{step} {rank} {size}\n")
        time.sleep(pause)

    model, history = small_training.fit(
        training.elastic_fit,
        training.ElasticCheckpoint(folder / "checkpoints", commit_steps=5),
        steps,
        tell,
    )
    told.close()
    small_training.write_result(
        folder,
        os.getpid(),
        steps=history[-1]["step"],
        epochs=[row["epoch"] for row in history],
        # Two of the program's steps make one of the optimizer's.
        updates=int(model.optimizer.iterations),
    )


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


def observe(folder, steps, seed=0, pause=0.1):
    """Runs the test."""
    rng = random.Random(seed)
    hosts, script = folder / "hosts", folder / "discover.sh"
    hosts.write_text("".join(f"{place}:1\n" for place in PLACES[:2]))
    script.write_text(f"#!/bin/sh\ncat {hosts}\n")
    script.chmod(0o755)
    log = folder / "log"
    command = [
        *horovodrun(2, "--min-np", "1", "--max-np", "2"),
        *("--host-discovery-script", str(script)),
        *(sys.executable, os.path.abspath(__file__), "--train", str(folder)),
        *("--steps", str(steps), "--pause", str(pause)),
    ]
    with open(log, "w") as out:
        process = subprocess.Popen(
            command, stdout=out, stderr=out, start_new_session=True
        )
    try:

        def wait_until(condition):
            wait_for(condition, process, log.read_text)

        def both_reached(step):
            found = workers(folder)
            return len(found) == 2 and all(
                rows and rows[-1][0] >= step for rows in found.values()
            )

        at = rng.randrange(steps // 6, steps // 4)
        wait_until(lambda: both_reached(at))
        time.sleep(rng.uniform(0, pause))
        found = workers(folder)
        victim = next(p for p, rows in found.items() if rows[-1][1] == 1)
        survivor = next(p for p in found if p != victim)
        os.kill(victim, signal.SIGKILL)
        wait_until(lambda: workers(folder)[survivor][-1][2] == 1)
        # Another machine is there. That of the victim is given up.
        hosts.write_text("".join(f"{place}:1\n" for place in PLACES))
        wait_until(
            lambda: (
                process.poll() is not None or any(folder.glob("result-*.json"))
            )
        )
        process.wait()
    finally:
        end_group(process)
    found = workers(folder)
    results = small_training.read_results(folder)
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


def main():
    options = small_training.parse(__doc__, steps=600, seed=0, pause=0.1)
    steps, pause = options.steps, options.pause
    if options.train is not None:
        train(options.train, steps, pause)
        return
    small_training.report(
        lambda folder: observe(folder, steps, options.seed, pause),
        lambda found: found["passed"] and found["picked_up_a_new_worker"],
    )


if __name__ == "__main__":
    main()
