"""The command line of the training programs."""

import argparse
import contextlib
import os
import pathlib
from collections.abc import Iterator
from typing import Any

from keras_bidalle import data, training
from keras_bidalle.backend import replicas
from keras_bidalle.configurations import (
    Configuration,
    parse_setting,
    shrunk,
)
from keras_bidalle.programs.held_out import EVALUATION
from keras_bidalle.programs.plan import Plan
from keras_bidalle.programs.precision import PRECISIONS
from keras_bidalle.sampling.settings import SETTINGS
from keras_bidalle.tasks.image_task import ImageTask
from keras_bidalle.tasks.recipe import Recipe
from keras_bidalle.tasks.task import Task


def make_parser(
    description: str | None, name: str | None = None
) -> argparse.ArgumentParser:
    """A parser that shows a program's docstring as it is written."""
    return argparse.ArgumentParser(
        name,
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def add_run(
    parser: argparse.ArgumentParser, name: str = "the configuration's"
) -> None:
    """Adds the options of any run, and the name it has by default."""
    add = parser.add_argument
    add("--output", default="runs", help="folder of all runs (default: runs)")
    add("--name", help=f"name of the run (default: {name})")
    add("--resume", action="store_true", help="go on with a run that was cut")
    add("--seed", type=int, default=0, help="of weights and data (default: 0)")
    add(
        "--precision",
        default="auto",
        choices=PRECISIONS,
        help="dtype policy of training; what is saved computes in float32 "
        "(default: whichever a measured step is faster in)",
    )
    add(
        "--distribution",
        default="none",
        choices=tuple(training.DISTRIBUTIONS),
        help="over which devices the rows of a batch are shared; the batch "
        "size is that of all of them together (default: none)",
    )


def add_measuring(parser: argparse.ArgumentParser) -> None:
    """Adds what is done before a run; `run_settings` reads it."""
    add = parser.add_argument
    add(
        "--dry-run",
        action="store_true",
        help="tells sizes, and the time and memory of steps that it measures",
    )
    add(
        "--unmeasured",
        action="store_true",
        help="starts at once, without a look whether a step fits into memory",
    )


def run_settings(options: argparse.Namespace, name: str) -> dict[str, Any]:
    """The arguments of a `Plan` that `add_run` and the like have options for.

    `name` is that of the run where none was given; of a file its stem.
    """
    measuring = {}
    if "dry_run" in options:
        # What was shrunk fits.
        small = options.unmeasured or getattr(options, "tiny", False)
        measuring = {"dry_run": options.dry_run, "measured": not small}
    return {
        **measuring,
        "folder": pathlib.Path(options.output)
        / (options.name or pathlib.Path(name).stem),
        "seed": options.seed,
        "precision": options.precision,
        "resume": options.resume,
    }


def add_training(
    parser: argparse.ArgumentParser, names: list[str], captions: bool
) -> None:
    """Adds what `configured`, `image_task` and `run_settings` read."""
    add_configuration(parser, names)
    add_run(parser)
    add_measuring(parser)
    add_source(parser)
    add_held_out(parser, captions)


def add_start(parser: argparse.ArgumentParser, of: str | None = None) -> None:
    """Adds `--start-from`: weights `of` something, or the run to go on from.

    The second is what `plan_of` reads.
    """
    run = (
        "folder of an earlier run whose tokenizer is used as it is and whose "
        "generator is trained on"
    )
    weights = f"weights to start from: {of}; what is carried over is told"
    metavar, meaning = ("PRESET", weights) if of else ("RUN", run)
    parser.add_argument("--start-from", metavar=metavar, help=meaning)


def plan_of(
    options: argparse.Namespace,
    task: Task,
    recipe: Recipe,
    name: str,
    **kwargs: Any,
) -> Plan:
    """The plan of a task's own program, which may go on from an earlier run.

    `kwargs` are for `Plan`, before the recipe; `name` as in `run_settings`.
    """
    parts: dict[str, Any] = {
        "tokenizer": recipe.tokenizer,
        "generator": recipe.generator,
        "jit": recipe.jit,
        **kwargs,
    }
    if options.start_from:
        earlier = pathlib.Path(options.start_from)
        parts["tokenizer"] = str(earlier / "tokenizer")
        parts["start_generator"] = str(earlier / "model")
    return Plan(task, **parts, **run_settings(options, name))


def add_configuration(
    parser: argparse.ArgumentParser, names: list[str]
) -> None:
    """Adds what `configured` reads: one of the names, or a file."""
    add = parser.add_argument
    add(
        "configuration",
        help=f"one of {', '.join(names)}; or a JSON file, "
        '{"class_name": ..., "config": {...}, "training": {...}}, such as '
        "the config.json of a run",
    )
    add(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="changes a setting of the training or an argument of the model, "
        "such as steps=1000, channels=64 or quantizer.num_codes=512",
    )
    add(
        "--tiny",
        action="store_true",
        help="shrinks the configuration until it runs in seconds",
    )


def add_captions(add: Any, meaning: str) -> None:
    """Adds, by a parser's `add_argument`, where captions are read from."""
    add("--captions", metavar="FILE", help=meaning)
    add(
        "--caption-column",
        metavar="NAME",
        help="where captions are called otherwise, such as name",
    )


def add_source(parser: argparse.ArgumentParser, required: bool = True) -> Any:
    """Adds the options that `source_of` reads; returns the group of kinds."""
    group = parser.add_argument_group("data, one of")
    kinds = group.add_mutually_exclusive_group(required=required)
    add = kinds.add_argument
    add("--images", metavar="FOLDER", help="pictures")
    add(
        "--pairs",
        metavar="FOLDER",
        help="pictures with a .txt of captions beside each, or --captions",
    )
    add("--tar", metavar="PATTERN", help="WebDataset tar files")
    add("--tfds", metavar="NAME", help="TensorFlow Datasets")
    add(
        "--fake-data",
        action="store_true",
        help="made-up pictures with captions, to try a configuration",
    )
    add = parser.add_argument_group("of the data").add_argument
    add_captions(add, "of --pairs: JSON or CSV")
    add("--tfds-split", default="train", help="of --tfds (default: train)")
    add(
        "--tfds-captions",
        metavar="FEATURE",
        help="of --tfds: the feature with captions, or a class label",
    )
    add("--data-dir", help="of --tfds: where data sets are kept")
    return kinds


def add_sampling(parser: argparse.ArgumentParser) -> None:
    """Adds an option for each sampling setting, which `sampling_of` reads."""
    for name, setting in SETTINGS.items():
        parser.add_argument(
            f"--{name.replace('_', '-')}",
            type=setting.kind,
            help=f"{setting.range}; {setting.meaning}",
        )


def sampling_of(options: argparse.Namespace) -> dict[str, Any]:
    """The sampling settings that were given: dict from name to value."""
    given = {name: getattr(options, name) for name in SETTINGS}
    return {k: value for k, value in given.items() if value is not None}


def add_held_out(parser: argparse.ArgumentParser, captions: bool) -> None:
    """Adds the options that `image_task` reads beside a source's."""
    group = parser.add_argument_group("held-out data, while it trains")
    add = group.add_mutually_exclusive_group().add_argument
    kind = "pairs" if captions else "images"
    add(
        f"--val-{kind}",
        dest="held_out_folder",
        metavar="FOLDER",
        help=f"what is never trained on, as --{kind}",
    )
    folder = data.ImageTextFolder if captions else data.ImageFolder
    parser.set_defaults(held_out_kind=folder)
    add(
        "--held-out",
        type=float,
        metavar="SHARE",
        help="holds this share of the data set out, such as 0.05",
    )
    group.add_argument(
        "--evaluate-every",
        type=int,
        metavar="REPORTS",
        help="reports between figures of it (default: 1)",
    )


def image_task(
    options: argparse.Namespace, configuration: Configuration, captions: bool
) -> ImageTask:
    """The images to train on, and those held out, if any are.

    Raises:
        ValueError, FileNotFoundError: when there is no such folder, the share
            is out of its range, or figures are asked for of nothing.
    """
    if options.evaluate_every is not None:
        configuration.change("evaluate_every", options.evaluate_every)
    configuration.check()
    source = source_of(options, captions)
    held_out: data.ImageSource | None = None
    if options.held_out is not None:
        source, held_out = data.hold_out(source, options.held_out)
    elif options.held_out_folder is not None:
        held_out = options.held_out_kind(options.held_out_folder)
    settings = configuration.training
    asked = [n for n in EVALUATION if settings.get(n) is not None]
    if held_out is not None and not asked:
        configuration.change("evaluate_every", 1)
    if asked and held_out is None:
        raise ValueError(
            f"`{asked[0]}` needs held-out data: --held-out SHARE, or a folder."
        )
    return ImageTask(source, configuration.training, held_out)


def configured(options: argparse.Namespace, stage: str) -> Configuration:
    """The configuration that was asked for, of "tokenizer" or "generator".

    Raises:
        ValueError: on unknown names.
        FileNotFoundError: if there is no such file.
    """
    configuration = Configuration.find(options.configuration, stage)
    if options.tiny:
        configuration = shrunk(configuration)
    for text in options.set:
        configuration.change(*parse_setting(text))
    configuration.check()
    return configuration


def source_of(options: argparse.Namespace, captions: bool) -> data.ImageSource:
    """The data set that was asked for, with captions or without.

    Raises:
        ValueError, FileNotFoundError: when there is no such data set, or it
            has no captions.
    """
    if options.fake_data:
        return data.FakeImages(256, size=64, seed=options.seed)
    if options.pairs:
        return data.ImageTextFolder(
            options.pairs, options.captions, options.caption_column
        )
    if options.tar:
        return data.TarImages(options.tar, captions=captions)
    if captions and not options.tfds:
        raise ValueError(
            "A generator needs captions: give --pairs, --tar, --tfds or "
            "--fake-data. Received: --images"
        )
    if options.images:
        return data.ImageFolder(options.images)
    if captions and not options.tfds_captions:
        raise ValueError(
            "A generator needs captions: --tfds-captions names the feature "
            f"of {options.tfds} that has them."
        )
    return data.TFDSImages(
        options.tfds,
        split=options.tfds_split,
        captions=options.tfds_captions if captions else None,
        data_dir=options.data_dir,
    )


@contextlib.contextmanager
def distributed(options: argparse.Namespace) -> Iterator[None]:
    """The scope of the distribution that was asked for.

    Enter it before anything is made. All processes run the same program; the
    first one writes and prints.
    """
    distribution = training.distribute(options.distribution)
    with contextlib.ExitStack() as stack:
        stack.enter_context(distribution.scope())
        if not replicas.is_first_process():
            silence = stack.enter_context(open(os.devnull, "w"))
            stack.enter_context(contextlib.redirect_stdout(silence))
        elif distribution.num_replicas > 1:
            print(distribution)
        yield
