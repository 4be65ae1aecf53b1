"""One stage of a run: how long it is, its optimizer, its `fit`."""

from collections.abc import Callable, Sequence
from typing import Any

import keras

from keras_bidalle import data, training

Settings = dict[str, Any]
# ("image" or "text", tag, function).
Summary = tuple[str, str, Callable[[], Any]]


def run_length(settings: Settings, records: int) -> tuple[int, int]:
    """How often a stage is summed up, and the steps between."""
    steps = settings["steps"]
    if steps is None:
        steps = settings["epochs"] * records // settings["batch_size"]
    reports = settings["reports"] or max(1, min(20, steps // 10))
    return reports, max(1, steps // reports)


def optimizer_of(settings: Settings, records: int) -> Any:
    """The optimizer of the settings, for epochs of so many records.

    Raises:
        ValueError: if a setting is none that is known, or the run would end
            before the learning rate has risen.
    """
    reports, steps = run_length(settings, records)
    warmup = settings["warmup_steps"]
    if settings["warmup_epochs"] is not None:
        warmup = settings["warmup_epochs"] * records / settings["batch_size"]
    rate = training.learning_rate(
        settings["learning_rate"],
        reports * steps,
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


def fit_stage(
    folder: training.RunFolder,
    stage: str,
    model: keras.Model,
    make_batch: Callable[[int], Any],
    settings: Settings,
    records: int,
    summaries: Sequence[Summary] = (),
    callbacks: Sequence[keras.callbacks.Callback] = (),
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
    """
    checkpoint = training.ResumableCheckpoint(
        folder / "checkpoints" / stage, every_seconds=30
    )
    writer = training.SummaryWriter(folder / "events" / stage)
    kinds = {
        "image": training.ImageSummaries,
        "text": training.TextSummaries,
    }
    reports, steps = run_length(settings, records)
    history = training.resumable_fit(
        model,
        lambda step: data.as_dataset(make_batch, step),
        checkpoint,
        epochs=reports,
        steps_per_epoch=steps,
        callbacks=[
            *callbacks,
            training.RunProgress(stage, batch_size=settings["batch_size"]),
            training.ScalarSummaries(writer, every_steps=50),
            *(
                kinds[kind](writer, function, tag)
                for kind, tag, function in summaries
            ),
        ],
    )
    writer.close()
    folder.update_metrics(**{f"{stage}_training": history[-1]})
    training.save_curves(folder / f"{stage}_curves.png", history)
    if settings["average_momentum"]:
        # Also where a finished run is resumed, which has no `fit` to do so.
        model.optimizer.finalize_variable_values(model.trainable_variables)
