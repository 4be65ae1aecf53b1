"""What a run will take, measured before it starts."""

import json
import os
import pathlib
import subprocess
import sys
import time
from typing import Any

import keras_bidalle
from keras_bidalle.backend import replicas
from keras_bidalle.backend.current import backend_name
from keras_bidalle.configurations import Configuration
from keras_bidalle.messages import one_line
from keras_bidalle.programs import memory
from keras_bidalle.programs.precision import candidates, resolved
from keras_bidalle.programs.stage import run_length

MARK = "measured: "
# The rest is for what else runs.
_ROOM = 0.9
# A validation step has no gradients.
_FORWARD = 0.35
_CHECKPOINT_SECONDS = 30
SHOWN = 8


def probe(plan: Any, policies: list[str], whole: bool) -> dict[str, Any]:
    """Tries steps of a plan in another process.

    Args:
        plan: `Plan`.
        policies: dtype policies to try.
        whole: bool, whether to time also what comes beside the steps, and
            a compiled step where the run compiles it.

    Returns:
        dict of `ready`, seconds until Keras is there, and `policies`: from
        each to what `measured_steps.measured` gives.

    Raises:
        ValueError: if the process ends before it has measured anything, as
            where not even a single picture fits.
    """
    told = " and ".join(policies)
    print(f"measuring a step in {told}, before the run", flush=True)
    available = memory.available()
    request = {
        **plan.config(),
        "policies": policies,
        "records": len(plan.task),
        "held_out_names": plan.task.held_out_names,
        # To compile takes minutes, and says nothing else about which policy
        # is the fastest.
        "jit": plan.jit and whole,
        "whole": whole,
        "room": None if available is None else int(available * _ROOM),
        "began": time.time(),
    }
    return in_another_process(request)


def in_another_process(request: dict[str, Any]) -> dict[str, Any]:
    """Runs `measured_steps` on a request."""
    root = pathlib.Path(keras_bidalle.__file__).parents[1]
    paths = [str(root), os.environ.get("PYTHONPATH", "")]
    done = subprocess.run(
        [sys.executable, "-m", "keras_bidalle.programs.measured_steps"],
        input=json.dumps(request),
        capture_output=True,
        text=True,
        env={
            **os.environ,
            "KERAS_BACKEND": backend_name(),
            "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        },
    )
    lines = done.stdout.splitlines()
    for line in reversed(lines):
        if line.startswith(MARK):
            return json.loads(line.removeprefix(MARK))
    if done.returncode == -9:
        raise ValueError(
            "The run does not fit into memory: a step of a single picture "
            "was ended by the system. Choose a smaller configuration."
        )
    told = done.stderr.strip().splitlines()[-1:] or ["nothing"]
    raise ValueError(one_line(f"A step of the run fails. Received: {told[0]}"))


def fastest(plan: Any, found: dict[str, Any]) -> str:
    """The policy in which a plan's steps take the least time."""

    def seconds(item: tuple[str, Any]) -> float:
        total = 0.0
        for stage, settings in _stages(plan).items():
            part = item[1].get(stage, {})
            steps = run_length(settings, len(plan.task)).steps
            total += steps * part.get("seconds", float("inf"))
        return total

    return min(found.items(), key=seconds)[0]


def chosen_policy(plan: Any) -> str:
    """The dtype policy of a plan: that of its run, or the fastest here."""
    if plan.precision != "auto":
        return plan.precision
    folder = pathlib.Path(plan.folder)
    if (folder / "config.json").is_file():
        figures = folder / "metrics.json"
        kept = json.loads(figures.read_text()) if figures.is_file() else {}
        return kept.get("policy") or resolved(plan.precision)
    names = candidates()
    if len(names) == 1:
        return names[0]
    if plan.unmeasured:
        return resolved(plan.precision)
    chosen = fastest(plan, probe(plan, names, whole=False)["policies"])
    # Other processes may have measured otherwise.
    return names[replicas.from_first_process(names.index(chosen))]


def tried(plan: Any) -> bool:
    """Measures a plan where it asks for that, and chooses its policy.

    Returns:
        Whether that was all: a dry run is told and done.

    Raises:
        ValueError: if a stage does not fit into memory.
    """
    begun = (pathlib.Path(plan.folder) / "config.json").is_file()
    alone = replicas.data_shard()[1] == 1
    if not plan.dry_run and (begun or not plan.measured or not alone):
        return False
    names = [plan.precision] if plan.precision != "auto" else candidates()
    probed = probe(plan, names, plan.dry_run)
    name = fastest(plan, probed["policies"])
    found = probed["policies"][name]
    check_memory(found)
    if plan.dry_run:
        tell(plan, probed, found)
    elif not begun:
        plan.policy = name
    return plan.dry_run


def check_memory(found: dict[str, Any]) -> None:
    """Raises a `ValueError` if a stage does not fit into memory.

    Args:
        found: what `probe` gives of a policy.
    """
    for stage in ("tokenizer", "generator"):
        part = found.get(stage, {})
        if "batch" not in part:
            continue
        batch, gigabytes = part["batch"], part["bytes"] / memory.GIB
        free = (memory.available() or 0) / memory.GIB
        advice = f"batch_size={batch} fits"
        if batch < 1:
            advice = "not even a batch_size of 1 fits"
        raise ValueError(
            f"The {stage} does not fit into memory: its step takes "
            f"{gigabytes:.1f} GiB, {free:.1f} GiB are free. {advice}; or "
            "choose a smaller configuration."
        )


def estimate(plan: Any, probed: dict[str, Any], found: dict[str, Any]) -> dict:
    """Seconds of each part of a run.

    Args:
        plan: `Plan`.
        probed: what `probe` gives, of a whole.
        found: what it has of the policy.

    Returns:
        dict from the name of a part to its seconds.
    """
    records, held_out = len(plan.task), plan.task.held_out_count
    pictures = found["pictures"]
    codes = pictures["encode"] * (records + held_out) / SHOWN
    parts = {
        "start of the program": probed["ready"],
        "codes of the pictures": codes if plan.generator else 0.0,
    }
    for stage, settings in _stages(plan).items():
        cost = found[stage]
        steps, reports = run_length(settings, records)
        training = steps * cost["seconds"]
        report = 0.0
        if settings["evaluate_every"]:
            batches = max(1, held_out // settings["batch_size"])
            report = batches * cost["seconds"] * _FORWARD
        if stage == "tokenizer":
            saving = pictures["save"]
            report += pictures["reconstruct"] * (1 + held_out / SHOWN)
            patches = min(400_000, records * pictures.get("patches", 0))
            parts["start from patches"] = patches * pictures.get("start", 0.0)
        else:
            saving = cost["save"]
            both = cost["draw"] + cost["read"]
            report += both + saving
            # Four of each caption.
            parts["pictures in the end"] = both + 3 * cost["draw"]
            parts["evaluation"] = both * plan.evaluated / SHOWN
        saving *= training / _CHECKPOINT_SECONDS
        parts[f"{stage}: {steps} steps"] = cost["first"] + training + saving
        parts[f"{stage}: {reports} reports"] = reports * report
    return {name: seconds for name, seconds in parts.items() if seconds}


def tell(plan: Any, probed: dict[str, Any], found: dict[str, Any]) -> None:
    """Prints what a run will take: sizes, time and memory."""
    for stage in _stages(plan):
        configuration = getattr(plan, stage)
        cost = found[stage]
        settings = configuration.training
        print(
            f"{stage}: {configuration.cls.__name__} of "
            f"{cost['parameters']:,} parameters, steps of "
            f"{settings['batch_size']} in {cost['seconds']:.3g} s"
        )
    parts = estimate(plan, probed, found)
    for name, seconds in parts.items():
        print(f"  {name}: {seconds / 60:.1f} minutes")
    peak = max(found[stage]["bytes"] for stage in _stages(plan)) / memory.GIB
    free = memory.available()
    told = "" if free is None else f" of {free / memory.GIB:.1f} that are free"
    print(
        f"in all {sum(parts.values()) / 60:.1f} minutes and {peak:.1f} GiB of "
        f"memory{told}"
    )


def _stages(plan: Any) -> dict[str, dict[str, Any]]:
    """Settings of the training of those stages that are trained."""
    return {
        name: stage.training
        for name in ("tokenizer", "generator")
        if isinstance(stage := getattr(plan, name), Configuration)
    }
