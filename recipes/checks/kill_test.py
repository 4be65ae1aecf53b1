"""Kills a training run again and again and sees whether it ends the same.

One run goes undisturbed. A second, equal one is ended by SIGKILL at random
moments, resumed each time, at last ended by SIGTERM and resumed to its end.
Both must end with the same weights, to the last bit. Prints JSON, and fails
where they differ.

    python recipes/checks/kill_test.py                 # one process, 20 kills
    python recipes/checks/kill_test.py --processes 2   # under horovodrun
    python recipes/checks/kill_test.py --program generator --kills 4
"""

import hashlib
import os
import pathlib
import random
import signal
import subprocess
import sys
import time

import small_training

from keras_bidalle.training.distributions.launching import start_processes


def train(folder, steps, distribution="none", pause=0.0):
    """Trains or goes on training, and writes the digest of what came out."""
    import keras

    from keras_bidalle import training

    distribution = training.distribute(distribution)
    rank = distribution.shard[0]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"pid-{rank}").write_text(str(os.getpid()))
    told = os.open(
        folder / f"progress-{rank}", os.O_WRONLY | os.O_CREAT | os.O_APPEND
    )

    def tell(step):
        os.write(told, b"%08d" % step)
        time.sleep(pause)

    with distribution.scope():
        model, _ = small_training.fit(
            training.resumable_fit,
            training.ResumableCheckpoint(
                folder / "checkpoints", every_steps=3, keep=3
            ),
            steps,
            tell,
        )
    digest = hashlib.sha256()
    for variable in [*model.variables, *model.optimizer.variables]:
        digest.update(keras.ops.convert_to_numpy(variable).tobytes())
    os.close(told)
    small_training.write_result(
        folder,
        rank,
        digest=digest.hexdigest(),
        steps=int(model.optimizer.iterations),
    )


class Run:
    """A run in processes of its own."""

    kept_in = "checkpoints"

    def __init__(self, folder, steps, processes=1, pause=0.02):
        self.folder, self.processes = folder, processes
        self.way = "horovod" if processes > 1 else "none"
        self.command = [
            *(sys.executable, os.path.abspath(__file__)),
            *("--train", folder, "--steps", str(steps)),
            *("--pause", str(pause), "--distribution", self.way),
        ]

    def start(self):
        for path in self.folder.glob("pid-*"):
            path.unlink()
        # A kill takes the launcher's processes along.
        (self.process,) = start_processes(
            self.command,
            self.way,
            self.processes,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )

    def pids(self):
        """Of the workers that have begun: list of int."""
        texts = [p.read_text() for p in sorted(self.folder.glob("pid-*"))]
        return [int(text) for text in texts if text]

    def step(self):
        """The last step that the first process has done, 0 before any."""
        path = self.folder / "progress-0"
        told = path.read_bytes() if path.is_file() else b""
        return len(told) // 8 and int(told[len(told) // 8 * 8 - 8 :][:8])

    def saved(self):
        """The step of the newest checkpoint, 0 without one."""
        names = sorted((self.folder / self.kept_in).glob("step-*.npz"))
        return int(names[-1].stem.removeprefix("step-")) if names else 0

    def interrupt(self, step, delay, number, rng):
        """Starts, waits for a step and a moment, and sends a signal."""
        resumed_from = self.saved()
        self.start()
        small_training.wait_for(
            lambda: self.step() >= step and len(self.pids()) >= self.processes,
            self.process,
            lambda: self.process.stderr.read().decode(),
        )
        time.sleep(delay)
        # A machine that fails, or all of them.
        pids = self.pids()
        if rng.random() < 0.5:
            pids = [rng.choice(pids)]
        for pid in pids:
            os.kill(pid, number)
        self.process.communicate()
        small_training.end_group(self.process)
        return {
            "signal": signal.Signals(number).name,
            "resumed_from": resumed_from,
            "at_step": self.step(),
            "saved": self.saved(),
            "status": self.process.returncode,
        }

    def finish(self):
        """Runs to the end. Returns each process's result."""
        self.start()
        _, errors = self.process.communicate()
        if self.process.returncode:
            raise RuntimeError(errors.decode()[-2000:])
        return small_training.read_results(self.folder)


class GeneratorRun(Run):
    """`train_generator.py` on made-up captions, whose words must stay."""

    kept_in = "checkpoints/generator"

    def __init__(self, folder, steps, processes=1):
        super().__init__(folder, steps)
        recipe = pathlib.Path(__file__).parents[1] / "train_generator.py"
        line = "bidalle-mnist64 --tiny --fake-data --tokenizer te-vqgan-mnist"
        line += f" --precision float32 --name {folder.name} --set batch_size=4"
        line += f" --set steps={steps} --set reports={max(1, steps // 5)}"
        self.program = [sys.executable, str(recipe), *line.split()]
        self.program += ["--output", str(folder.parent)]

    def start(self):
        going_on = (self.folder / "config.json").is_file()
        self.command = [*self.program, *["--resume"] * going_on]
        super().start()

    def pids(self):
        return [self.process.pid]

    def step(self):
        return self.saved()

    def finish(self):
        super().finish()
        import keras

        import keras_bidalle

        digest = hashlib.sha256((self.folder / "vocabulary.json").read_bytes())
        for variable in keras_bidalle.load(self.folder / "model").weights:
            digest.update(keras.ops.convert_to_numpy(variable).tobytes())
        return [{"digest": digest.hexdigest()}]


PROGRAMS = {"tokenizer": Run, "generator": GeneratorRun}


def compare(folder, kills, steps, processes=1, seed=0, program="tokenizer"):
    """Runs the test."""
    rng = random.Random(seed)
    whole = PROGRAMS[program](folder / "whole", steps, processes).finish()
    cut = PROGRAMS[program](folder / "cut", steps, processes)
    moments = sorted(rng.sample(range(1, steps - 5), kills))
    events = [
        cut.interrupt(step, rng.uniform(0, 0.05), signal.SIGKILL, rng)
        for step in moments
    ]
    events.append(cut.interrupt(steps - 5, 0, signal.SIGTERM, rng))
    results = cut.finish()
    polite = events[-1]
    return {
        "backend": os.environ.get("KERAS_BACKEND", "tensorflow"),
        "processes": processes,
        "steps": steps,
        "kills": kills,
        "events": events,
        "steps_lost_by_sigterm": polite["at_step"] - polite["saved"],
        "undisturbed": whole,
        "resumed": results,
        "equal": len(whole) == processes
        and all(r == whole[0] for r in [*whole, *results]),
    }


def main():
    # The last two are the workers'.
    defaults = {"distribution": "none", "pause": 0.0, "program": "tokenizer"}
    options = small_training.parse(
        __doc__, kills=20, steps=300, processes=1, seed=0, **defaults
    )
    if options.train is not None:
        train(options.train, options.steps, options.distribution, options.pause)
        return
    if not 0 <= options.kills < options.steps - 5:
        sys.exit("Error: --kills must be fewer than --steps less 5")
    if options.program not in PROGRAMS:
        sys.exit(f"Error: --program must be one of {', '.join(PROGRAMS)}")
    if options.program == "generator" and options.processes > 1:
        sys.exit("Error: --program generator is of one process")
    asked = options.kills, options.steps, options.processes, options.seed
    asked += (options.program,)
    small_training.report(
        lambda folder: compare(folder, *asked),
        lambda found: found["equal"] and found["steps_lost_by_sigterm"] == 0,
    )


if __name__ == "__main__":
    main()
