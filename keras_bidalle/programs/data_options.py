"""What the programs' command lines say of data."""

import argparse
from typing import Any

from keras_bidalle import data
from keras_bidalle.configurations import Configuration
from keras_bidalle.messages import shown
from keras_bidalle.programs.held_out import EVALUATION
from keras_bidalle.tasks.image_task import ImageTask


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
        help="pictures with a .txt of captions beside each, or one file of "
        "captions",
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


def check_source_options(options: argparse.Namespace) -> None:
    """Raises a `ValueError` on an option of data that are not asked for."""
    wanted = {
        "captions": "pairs",
        "caption_column": "pairs",
        "tfds_captions": "tfds",
    }
    for name, of in wanted.items():
        value = getattr(options, name)
        if value is not None and not getattr(options, of):
            flag = name.replace("_", "-")
            raise ValueError(
                f"--{flag} needs --{of}. Received: --{flag} {shown(value)}"
            )


def tell_notes(source: data.ImageSource) -> None:
    """Prints what a source has left out, and by what it chose."""
    for note in source.notes:
        print(note)


def source_of(options: argparse.Namespace, captions: bool) -> data.ImageSource:
    """The data set that was asked for, with captions or without.

    Raises:
        ValueError, FileNotFoundError: when there is no such data set, or it
            has no captions.
    """
    check_source_options(options)
    if options.fake_data:
        return data.FakeImages(256, size=64, seed=options.seed)
    if options.pairs:
        source = data.captioned_folder(
            options.pairs, options.captions, options.caption_column
        )
        tell_notes(source)
        return source
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
            f"of {shown(options.tfds)} that has them."
        )
    return data.TFDSImages(
        options.tfds,
        split=options.tfds_split,
        captions=options.tfds_captions if captions else None,
        data_dir=options.data_dir,
    )


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
    folder = data.captioned_folder if captions else data.ImageFolder
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


def divided(
    source: data.ImageSource, share: float
) -> tuple[data.ImageSource, data.ImageSource | None]:
    """What is trained on and what is held out, by `--held-out`; 0: nothing.

    Raises:
        ValueError: if the share is out of its range, or of one picture.
    """
    if not share:
        return source, None
    if len(source) < 2:
        raise ValueError(
            "--held-out SHARE needs at least 2 pictures; --held-out 0 trains "
            f"on all. Received: {len(source)} in {source.description}"
        )
    return data.hold_out(source, share)


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
        source, held_out = divided(source, options.held_out)
    elif options.held_out_folder is not None:
        held_out = options.held_out_kind(options.held_out_folder)
        tell_notes(held_out)
    settings = configuration.training
    asked = [n for n in EVALUATION if settings.get(n) is not None]
    if held_out is not None and not asked:
        configuration.change("evaluate_every", 1)
    if asked and held_out is None:
        raise ValueError(
            f"`{asked[0]}` needs held-out data: --held-out SHARE, or a folder."
        )
    return ImageTask(source, configuration.training, held_out)
