"""Kills a training run again and again and sees whether it ends the same.

One run goes undisturbed. A second, equal one is ended by SIGKILL at random
moments, resumed each time, at last ended by SIGTERM and resumed to its end.
Both must end with the same weights, to the last bit. Prints JSON, and fails
where they differ.

    python recipes/kill_test.py                 # one process, 20 kills
    python recipes/kill_test.py --processes 2   # under horovodrun
"""

import argparse
import functools
import hashlib
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

ROWS = 8
STEPS_PER_EPOCH = 25


def build_model():
    """A tokenizer whose training needs all that a checkpoint must hold."""
    import keras

    from keras_bidalle import image_tokenizers, quantizers

    keras.utils.set_random_seed(5)
    # Codes are revived in every run, by draws.
    quantizer = quantizers.EMAVectorQuantizer(
        num_codes=12, code_dim=8, kmeans_steps=2, revival_share=0.5, seed=1
    )
    model = image_tokenizers.PatchVQGAN(
        quantizer,
        image_shape=(16, 16, 3),
        channels=8,
        hidden_channels=8,
        num_blocks=1,
    )
    optimizer = keras.optimizers.Adam(
        keras.optimizers.schedules.CosineDecay(0.01, 1000),
        epsilon=1e-4,
        global_clipnorm=0.1,
        gradient_accumulation_steps=2,
        use_ema=True,
    )
    model.compile(optimizer)
    return model


def make_batch(step):
    import numpy as np

    rng = np.random.default_rng((3, step))
    return rng.uniform(-1, 1, (ROWS, 16, 16, 3)).astype("float32")


def train(folder, steps, distribution="none", pause=0.0):
    """Trains or goes on training, and writes the digest of what came out.

    Args:
        folder: `pathlib.Path`.
        steps: int, a multiple of `STEPS_PER_EPOCH`.
        distribution: str, see `keras_bidalle.training.distribute`.
        pause: float, seconds of rest after each step.
    """
    import keras

    from keras_bidalle import data, training

    distribution = training.distribute(distribution)
    rank = distribution.shard[0]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"pid-{rank}").write_text(str(os.getpid()))
    told = os.open(
        folder / f"progress-{rank}", os.O_WRONLY | os.O_CREAT | os.O_APPEND
    )

    class Progress(training.StepCallback):
        def on_train_batch_end(self, batch, logs=None):
            os.write(told, b"%08d" % self.steps_done(batch))
            time.sleep(pause)

    with distribution.scope():
        model = build_model()
        training.resumable_fit(
            model,
            lambda step: data.as_dataset(data.own_rows(make_batch), step),
            training.ResumableCheckpoint(
                folder / "checkpoints", every_steps=3, keep=3
            ),
            epochs=steps // STEPS_PER_EPOCH,
            steps_per_epoch=STEPS_PER_EPOCH,
            callbacks=[Progress()],
        )
    digest = hashlib.sha256()
    for variable in [*model.variables, *model.optimizer.variables]:
        digest.update(keras.ops.convert_to_numpy(variable).tobytes())
    result = {
        "digest": digest.hexdigest(),
        "steps": int(model.optimizer.iterations),
    }
    (folder / f"result-{rank}.json").write_text(json.dumps(result))
    os.close(told)


class Run:
    """A run in processes of its own.

    Args:
        folder: `pathlib.Path`.
        steps: int.
        processes: int, more than one under `horovodrun`.
        pause: float, seconds of rest after each step.
    """

    def __init__(self, folder, steps, processes=1, pause=0.02):
        self.folder, self.processes = folder, processes
        self.command = [
            *(sys.executable, os.path.abspath(__file__)),
            *("--train", str(folder), "--steps", str(steps)),
            *("--pause", str(pause)),
        ]
        if processes > 1:
            # From the same environment, also where that is not activated.
            horovodrun = pathlib.Path(sys.executable).with_name("horovodrun")
            self.command = [
                *(str(horovodrun), "-np", str(processes), "--gloo"),
                *(*self.command, "--distribution", "horovod"),
            ]

    def start(self):
        for path in self.folder.glob("pid-*"):
            path.unlink()
        # A kill takes the launcher's processes along.
        self.process = subprocess.Popen(
            self.command,
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
        if not path.is_file() or path.stat().st_size < 8:
            return 0
        with open(path, "rb") as file:
            file.seek(path.stat().st_size // 8 * 8 - 8)
            return int(file.read(8))

    def saved(self):
        """The step of the newest checkpoint, 0 without one."""
        names = sorted((self.folder / "checkpoints").glob("step-*.npz"))
        return int(names[-1].stem.removeprefix("step-")) if names else 0

    def interrupt(self, step, delay, number, rng):
        """Starts, waits for a step and a moment, and sends a signal.

        Returns:
            dict, what happened.
        """
        resumed_from = self.saved()
        self.start()
        while self.step() < step or len(self.pids()) < self.processes:
            if self.process.poll() is not None:
                raise RuntimeError(
                    "The run ended by itself: "
                    + self.process.stderr.read().decode()[-2000:]
                )
            time.sleep(0.001)
        time.sleep(delay)
        # A machine that fails, or all of them.
        pids = self.pids()
        if rng.random() < 0.5:
            pids = [rng.choice(pids)]
        for pid in pids:
            os.kill(pid, number)
        self.process.communicate()
        self.end()
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
        return [
            json.loads(path.read_text())
            for path in sorted(self.folder.glob("result-*.json"))
        ]

    def end(self):
        """Ends what a launcher may have left."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


def compare(folder, kills, steps, processes=1, seed=0):
    """Runs the test.

    Returns:
        dict of JSON values; `equal` says how it came out.
    """
    rng = random.Random(seed)
    whole = Run(folder / "whole", steps, processes).finish()
    cut = Run(folder / "cut", steps, processes)
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
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    # What the processes under test are started with.
    hidden = functools.partial(parser.add_argument, help=argparse.SUPPRESS)
    hidden("--train", type=pathlib.Path)
    parser.add_argument(
        "--distribution", default="none", help=argparse.SUPPRESS
    )
    parser.add_argument(
        "--pause", type=float, default=0.0, help=argparse.SUPPRESS
    )
    options = parser.parse_args()
    if options.steps % STEPS_PER_EPOCH or options.steps < STEPS_PER_EPOCH:
        parser.error(f"--steps must be a multiple of {STEPS_PER_EPOCH}")
    if not 0 <= options.kills < options.steps - 5:
        parser.error("--kills must be fewer than the steps")
    if options.train is not None:
        train(options.train, options.steps, options.distribution, options.pause)
        return
    folder = pathlib.Path(tempfile.mkdtemp())
    try:
        report = compare(
            folder,
            options.kills,
            options.steps,
            options.processes,
            options.seed,
        )
    finally:
        shutil.rmtree(folder)
    print(json.dumps(report, indent=2))
    sys.exit(
        0 if report["equal"] and report["steps_lost_by_sigterm"] == 0 else 1
    )


if __name__ == "__main__":
    main()
