"""The command line of the training programs."""

import argparse
import contextlib
import errno
import os
import pathlib
from collections.abc import Iterator
from typing import Any

from keras_bidalle import training
from keras_bidalle.backend import replicas
from keras_bidalle.configurations import (
    Configuration,
    parse_setting,
    shrunk,
)
from keras_bidalle.programs.data_options import add_held_out, add_source
from keras_bidalle.programs.plan import Plan
from keras_bidalle.programs.precision import PRECISIONS
from keras_bidalle.programs.starting import preset_of
from keras_bidalle.sampling.settings import SETTINGS
from keras_bidalle.tasks.recipe import Recipe
from keras_bidalle.tasks.task import Task
from keras_bidalle.validation import is_integer, refused

# Of a perceptual loss, where the training has none: that of L-Verse's AugVAE
# (arXiv 2111.11133), which is beside squared errors, too.
_PERCEPTUAL = 0.1


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
        measuring = {
            "dry_run": options.dry_run,
            "measured": not small,
            "unmeasured": options.unmeasured,
        }
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
    """Adds `--start-from`: weights `of` something, or the model to go on from.

    The second is what `plan_of` reads.
    """
    run = (
        "a TextImageModel, or the folder of an earlier run: its tokenizer is "
        "used as it is, its generator is trained on"
    )
    weights = f"weights to start from: {of}; what is carried over is told"
    metavar, meaning = ("PRESET", weights) if of else ("MODEL", run)
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
        earlier = str(preset_of(options.start_from))
        parts |= {"tokenizer": earlier, "start_generator": earlier}
    return Plan(task, **parts, **run_settings(options, name))


def add_lpips(parser: argparse.ArgumentParser) -> None:
    """Adds `--lpips`, the file that `use_lpips` takes."""
    parser.add_argument(
        "--lpips",
        metavar="FILE",
        help="LPIPS' weights, made by `converters.convert_lpips` (default: "
        "no perceptual loss)",
    )


def use_lpips(configuration: Configuration, file: str) -> None:
    """Gives an image tokenizer's training a perceptual loss, if it has none.

    Raises:
        FileNotFoundError: if there is no such file of weights.
    """
    if not os.path.isfile(file):
        raise FileNotFoundError(
            errno.ENOENT, "--lpips must be a file of weights", file
        )
    settings = configuration.training
    settings["perceptual_weight"] = settings["perceptual_weight"] or _PERCEPTUAL


def check_image_shape(configuration: Configuration) -> None:
    """Raises a `ValueError` unless an image tokenizer's images have a shape."""
    shape = configuration.arguments.get("image_shape", (1, 1, 1))
    if not (
        isinstance(shape, list | tuple)
        and len(shape) == 3
        and all(is_integer(size) and size > 0 for size in shape)
    ):
        raise refused(
            "be (height, width, channels), three positive integers",
            image_shape=shape,
        )


def add_settings(
    parser: argparse.ArgumentParser, metavar: str, meaning: str
) -> None:
    """Adds `--set`, a list of texts for `configurations.parse_setting`."""
    parser.add_argument(
        "--set", action="append", default=[], metavar=metavar, help=meaning
    )


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
    add_settings(
        parser,
        "NAME=VALUE",
        "changes a setting of the training or an argument of the model, "
        "such as steps=1000, channels=64 or quantizer.num_codes=512",
    )
    add(
        "--tiny",
        action="store_true",
        help="shrinks the configuration until it runs in seconds",
    )


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


def configured(options: argparse.Namespace, stage: str) -> Configuration:
    """The configuration that was asked for, of "tokenizer" or "generator".

    Raises:
        ValueError: on unknown names.
        FileNotFoundError: if there is no such file.
    """
    configuration = Configuration.find(options.configuration, stage)
    if options.tiny:
        configuration = shrunk(configuration)
    if stage == "tokenizer" and options.lpips:
        use_lpips(configuration, options.lpips)
    for text in options.set:
        configuration.change(*parse_setting(text))
    configuration.check()
    check_image_shape(configuration)
    return configuration


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
