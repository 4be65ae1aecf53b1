"""One stage of a run: how long it is, its optimizer, its `fit`."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras

from keras_bidalle import data, training
from keras_bidalle.configurations import Configuration
from keras_bidalle.programs.held_out import HeldOut

Settings = dict[str, Any]
# ("image" or "text", tag, function).
Summary = tuple[str, str, Callable[[], Any]]


class RunLength(NamedTuple):
    """How long a stage is.

    Attributes:
        steps: int, all of them.
        reports: int, how often it is summed up.
    """

    steps: int
    reports: int

    @property
    def between(self) -> int:
        """Steps from one report to the next."""
        return self.steps // self.reports

    @property
    def last(self) -> int:
        """Steps from the last but one report to the end, with the rest."""
        return self.steps - (self.reports - 1) * self.between


def run_length(settings: Settings, records: int) -> RunLength:
    """How long the settings say that a stage is."""
    steps = settings["steps"]
    if steps is None:
        steps = settings["epochs"] * records // settings["batch_size"]
    steps = max(1, steps)
    reports = settings["reports"] or max(1, min(20, steps // 10))
    return RunLength(steps, min(reports, steps))


def optimizer_of(settings: Settings, records: int) -> Any:
    """The optimizer of the settings, for epochs of so many records.

    Raises:
        ValueError: if a setting is none that is known, or the run would end
            before the learning rate has risen.
    """
    warmup = settings["warmup_steps"]
    if settings["warmup_epochs"] is not None:
        warmup = settings["warmup_epochs"] * records / settings["batch_size"]
    rate = training.learning_rate(
        settings["learning_rate"],
        run_length(settings, records).steps,
        int(warmup),
        settings["schedule"],
        floor=settings["final_learning_rate"],
        cycles=settings["schedule_cycles"],
        schedule_steps=settings["schedule_steps"],
    )
    name, arguments = settings["optimizer"], {}
    if name != "sgd":  # which has none of them
        adam = "adam_" if name == "muon" else ""
        arguments = {
            f"{adam}beta_1": settings["beta_1"],
            f"{adam}beta_2": settings["beta_2"],
            "epsilon": settings["epsilon"],
        }
    return training.build_optimizer(
        name,
        rate,
        weight_decay=settings["weight_decay"],
        clip_norm=settings["clip_norm"],
        average_momentum=settings["average_momentum"],
        **arguments,
        **settings["optimizer_arguments"],
    )


def length(settings: Settings) -> list[int | None]:
    """What the settings say of the length of a stage, and what may end it."""
    return [settings["steps"], settings["epochs"], settings["patience"]]


def finished(
    folder: training.RunFolder, stage: str, preset: str, part: Any
) -> bool:
    """Whether a stage has been trained for as long as it is to be now.

    What was trained for less is no longer measured.

    Args:
        folder: `keras_bidalle.training.RunFolder`.
        stage: str, "tokenizer" or "generator".
        preset: str, what the stage leaves.
        part: its `Configuration`, or the name of a preset.
    """
    if not (folder / preset).is_dir():
        return False
    if not isinstance(part, Configuration):
        return True
    metrics = folder.read("metrics.json") or {}
    name = f"{stage}_length"
    if name not in metrics:
        # Of an earlier version, before its settings were changed just now.
        before = folder.before or {}
        metrics[name] = length(before[stage]["training"])
        folder.update_metrics(**metrics)
    # Earlier versions did not keep the patience.
    kept = metrics[name]
    if kept == length(part.training)[: len(kept)]:
        return True
    if stage == "generator":
        # Reports that are there are not made again.
        kept = ("tokenizer", "classifier", name)
        metrics = {k: v for k, v in metrics.items() if k.startswith(kept)}
        folder.write("metrics.json", metrics)
    return False


def checkpoint_of(folder: Any, stage: str) -> training.ResumableCheckpoint:
    """The checkpoints of a stage, in the folder of a run.

    Whether there are any says `is_empty`: their folder is there as soon as
    `fit` begins, and a kill before the first one leaves it so.
    """
    return training.ResumableCheckpoint(
        folder / "checkpoints" / stage, every_seconds=30
    )


def fit_stage(
    folder: training.RunFolder,
    stage: str,
    model: keras.Model,
    make_batch: Callable[[int], Any],
    settings: Settings,
    records: int,
    summaries: Sequence[Summary] = (),
    callbacks: Sequence[keras.callbacks.Callback] = (),
    held_out: HeldOut | None = None,
) -> None:
    """Trains, with checkpoints, TensorBoard, curves and a line of progress.

    Args:
        folder: of the run.
        stage: names what is written there.
        model: built and compiled.
        make_batch: from a step to what `fit` takes, the rows of this process.
        settings: of the training.
        records: of an epoch.
        summaries: what is shown each time that the run is summed up.
        callbacks: further ones.
        held_out: what it is judged by meanwhile.
    """
    checkpoint = checkpoint_of(folder, stage)
    if folder.before is not None and checkpoint.is_empty:
        print(f"{checkpoint.folder} has no checkpoint: it begins at step 0.")
    writer = training.SummaryWriter(folder / "events" / stage)
    kinds = {
        "image": training.ImageSummaries,
        "text": training.TextSummaries,
    }
    run = run_length(settings, records)
    if run.last != run.between:
        print(
            f"{stage}: {run.steps} steps, a report after each {run.between}, "
            f"the last one after {run.last}"
        )
    history = training.resumable_fit(
        model,
        lambda step: data.as_dataset(make_batch, step),
        checkpoint,
        epochs=run.reports,
        steps_per_epoch=run.between,
        last_steps=run.last,
        callbacks=[
            *callbacks,
            *([] if held_out is None else held_out.callbacks),
            training.RunProgress(stage, batch_size=settings["batch_size"]),
            training.ScalarSummaries(writer, every_steps=50),
            *(
                kinds[kind](writer, function, tag)
                for kind, tag, function in summaries
            ),
        ],
        **({} if held_out is None else held_out.fit_arguments(run.reports)),
    )
    writer.close()
    if checkpoint.stopped:
        print(
            f"{stage}: `patience` had ended it at step {history[-1]['step']}; "
            "with a larger one it goes on."
        )
    folder.update_metrics(**{f"{stage}_training": history[-1]})
    folder.write(f"{stage}_history.json", history)
    training.save_curves(folder / f"{stage}_curves.png", history)
    if settings["average_momentum"]:
        # Also where a finished run is resumed, which has no `fit` to do so.
        model.optimizer.finalize_variable_values(model.trainable_variables)
    best = None if held_out is None else held_out.best
    if best is not None and best.best_epoch is not None:
        best.put_back()
        print(
            f"{stage}: {best.monitor} was best after report "
            f"{best.best_epoch + 1} of {len(history)}: {best.best:.5g}"
        )
        folder.update_metrics(
            **{
                f"{stage}_best": {
                    "report": best.best_epoch,
                    best.monitor: best.best,
                }
            }
        )
