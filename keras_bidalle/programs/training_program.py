"""Trains an image tokenizer, a generator, or one after the other."""

import time
from typing import Any

import keras

from keras_bidalle import data, training
from keras_bidalle.backend import replicas
from keras_bidalle.backend.current import backend_name
from keras_bidalle.configurations import Configuration
from keras_bidalle.files import atomic_path
from keras_bidalle.image_tokenizers import ImageTokenizer
from keras_bidalle.presets import load
from keras_bidalle.programs.generator_stage import GeneratorStage
from keras_bidalle.programs.plan import Plan
from keras_bidalle.programs.probing import tried
from keras_bidalle.programs.stage import finished, length
from keras_bidalle.programs.starting import image_tokenizer_of
from keras_bidalle.programs.tokenizer_stage import TokenizerStage
from keras_bidalle.programs.unfinished import clear_unfinished
from keras_bidalle.tasks.image_rows import has_captions
from keras_bidalle.text_image_model import TextImageModel


def train(plan: Plan) -> None:
    """Runs a plan, or what is left of it.

    Leaves in the run's folder `tokenizer` and, with a generator, `model`,
    both presets for `keras_bidalle.load`; images and curves; TensorBoard's
    events; checkpoints that a resumed run goes on from; `config.json`, which
    is itself a configuration; and `metrics.json`.

    Args:
        plan: `Plan`.

    Raises:
        ValueError: if the settings do not fit together. Nothing is written
            then.
        FileExistsError: if there is a run in the folder and the plan is not
            to resume it.
    """
    began = time.monotonic()
    if tried(plan):
        return
    keras.utils.set_random_seed(plan.seed)
    config = plan.config()
    if plan.generator is not None:
        has_captions(plan.generator)
    first = None
    if isinstance(plan.tokenizer, Configuration):
        first = TokenizerStage(plan)
        tokenizer = first.model
    else:
        tokenizer = image_tokenizer_of(load(plan.tokenizer))
        config["tokenizer"] = data.fingerprint(tokenizer)
    second = None
    if plan.generator is not None:
        second = GeneratorStage(plan, tokenizer)
    examples = plan.task.examples(tokenizer.image_shape)
    folder = training.RunFolder(
        plan.folder, config, plan.resume, plan.may_change()
    )
    # Now: the processes of a run decide alike, whoever is ahead.
    parts = {"tokenizer": plan.tokenizer, "generator": plan.generator}
    presets = {"tokenizer": "tokenizer", "generator": "model"}
    done = {
        preset
        for stage, preset in presets.items()
        if replicas.from_first_process(
            replicas.is_first_process()
            and finished(folder, stage, preset, parts[stage])
        )
    }
    nothing_left = ("model" if second else "tokenizer") in done
    print(
        f"{backend_name()}, {plan.policy}; "
        f"{plan.task.description}; {tokenizer.count_params():,} parameters; "
        f"run: {folder.path}"
    )
    folder.update_metrics(policy=plan.policy)
    if plan.generator is not None and "model" not in done:
        try:
            plan.task.read_captions(
                folder, tokenizer.image_shape, plan.generator
            )
        except (OSError, ValueError):
            # Its settings have to change, and those of a run cannot.
            folder.withdraw()
            raise
    plan.task.prepare(folder)
    if "tokenizer" in done:
        tokenizer = image_tokenizer_of(load(folder / "tokenizer"))
    else:
        if first is not None:
            if plan.start_tokenizer:
                _measure(plan, folder, "tokenizer_before", first.build())
            tokenizer = first.fit(folder, examples)
        _measure(plan, folder, "tokenizer", tokenizer)
        tokenizer.save_to_preset(folder / "tokenizer")
        if first is not None:
            folder.update_metrics(tokenizer_length=length(first.settings))
    if second is not None:
        if "model" in done:
            model = load(folder / "model")
        else:
            model = second.fit(folder, tokenizer)
            model.save_to_preset(folder / "model")
            folder.update_metrics(generator_length=length(second.settings))
            clear_unfinished(folder)
        _report(plan, folder, model, second.sampling)
    minutes = (time.monotonic() - began) / 60
    if not nothing_left:
        folder.update_metrics(minutes=minutes)
    for name, text in plan.task.cards(folder, plan, tokenizer).items():
        with atomic_path(folder / name / "README.md") as temporary:
            temporary.write_text(text)
    told = "done already" if nothing_left else f"done in {minutes:.1f} minutes"
    print(f"{told}; see {folder.path}")


def _measure(
    plan: Plan,
    folder: training.RunFolder,
    name: str,
    tokenizer: ImageTokenizer,
) -> None:
    figures = plan.task.tokenizer_report(tokenizer)
    if figures:
        tell(name, figures)
        shape = list(tokenizer.code_shape)
        folder.update_metrics(**{name: figures | {"code_shape": shape}})


def _report(
    plan: Plan,
    folder: training.RunFolder,
    model: TextImageModel,
    sampling: dict[str, Any],
) -> None:
    reports = plan.task.reports(model, sampling)
    for name, measure in reports.items():
        if name not in (folder.read("metrics.json") or {}):
            figures = measure()
            tell(name, figures)
            folder.update_metrics(**{name: figures})
    if reports:
        folder.update_metrics(sampling=sampling)


def tell(name: str, figures: dict[str, Any]) -> None:
    """Prints figures, a line for each dict of them."""
    numbers = {k: v for k, v in figures.items() if not isinstance(v, dict)}
    if numbers:
        cells = (f"{k} {round(v, 4)}" for k, v in numbers.items())
        print(f"{name}: {', '.join(cells)}")
    for key, value in figures.items():
        if isinstance(value, dict):
            tell(f"{name}, {key}", value)
