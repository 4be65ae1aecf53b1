"""What a command line asks a model to be measured on, and its judge."""

import argparse
import os
import pathlib
from typing import Any, NamedTuple

import keras

from keras_bidalle import data, programs, training
from keras_bidalle.captions import ClassNames
from keras_bidalle.evaluation.protocol import DIRECTIONS
from keras_bidalle.evaluation.samples import SavedImages
from keras_bidalle.files import atomic_path
from keras_bidalle.generators import Generator
from keras_bidalle.presets import load
from keras_bidalle.tasks.classed_codes import ClassImages
from keras_bidalle.text_image_model import TextImageModel

# MNIST64 has five layouts, of which as many pictures each are made.
_MNIST64_PICTURES = 500


class Asked(NamedTuple):
    """What is evaluated; what does not apply is `None`.

    Attributes:
        name: str, of its class.
        weights: str, which tells it from others.
        tokenizer: `ImageTokenizer`.
        whole: `TextImageModel`.
        classes: `ClassImages`.
        saved: `SavedImages`.
        image_shape: tuple (H, W, C).
    """

    name: str
    weights: str
    tokenizer: Any
    whole: Any
    classes: Any
    saved: Any
    image_shape: tuple[int, ...]


def opened(options: argparse.Namespace) -> Asked:
    """Opens the model, or the saved samples, of a command line.

    The folder of a run stands for what it has come to. A generator of classes
    is joined by the tokenizer and the classes that lie beside it in there.
    """
    if options.saved:
        saved = SavedImages(options.model)
        return Asked(
            type(saved).__name__,
            saved.description,
            *(None, None, None, saved),
            _shape_of(saved),
        )
    preset = programs.preset_of(options.model)
    model = load(preset)
    told = type(model).__name__, data.fingerprint(model)[:16]
    if isinstance(model, Generator):
        beside = pathlib.Path(preset).parent
        tokenizer = programs.image_tokenizer_of(
            load(options.tokenizer or beside / "tokenizer")
        )
        path = pathlib.Path(options.classes or beside / "classes.json")
        if not os.path.isfile(path):
            raise FileNotFoundError(
                "A generator of classes needs the list of their names, "
                f"--classes FILE. Received: {str(path)!r}"
            )
        names = ClassNames.read(path).names
        assert names is not None
        classes = ClassImages(tokenizer, names, model)
        return Asked(
            *told, tokenizer, None, classes, None, tokenizer.image_shape
        )
    tokenizer = programs.image_tokenizer_of(model)
    whole = model if isinstance(model, TextImageModel) else None
    return Asked(*told, tokenizer, whole, None, None, tokenizer.image_shape)


def _shape_of(saved: SavedImages) -> tuple[int, ...]:
    """(H, W, 3) of the first sample that can be read."""
    error: Exception | None = None
    for index in range(len(saved)):
        try:
            image = data.open_image(saved.read(index).image)
        except (OSError, data.ImageError) as found:
            error = error or found
            continue
        return image.height, image.width, 3
    raise ValueError(f"No sample of {saved.description} can be read: {error}")


def captions_of(source: data.ImageSource) -> list[str]:
    """The captions of the first record that can be read."""
    for index in range(len(source)):
        try:
            return list(source.read(index).captions)
        except (OSError, data.ImageError):
            continue
    return []


def source_and_judge(
    options: argparse.Namespace, captioned: bool
) -> tuple[Any, Any]:
    """The data, and what makes its judge in a run's folder; `None` of either.

    Args:
        options: of the command line; a `source` that a program has set goes
            before what it names.
        captioned: bool, whether captions are of use.
    """
    if getattr(options, "source", None) is not None:
        return options.source, None
    programs.check_source_options(options)
    kinds = ("images", "pairs", "tar", "tfds", "fake_data", "task")
    if not any(getattr(options, kind) for kind in kinds):
        return None, None
    if options.task is None:
        asked = set(options.directions or DIRECTIONS) - {"reconstruction"}
        captions = bool(captioned and asked and (options.pairs or options.tar))
        captions |= bool(options.tfds_captions or options.fake_data)
        try:
            return programs.source_of(options, captions), None
        except FileNotFoundError:
            # A tar without captions will do where none were asked for.
            if options.directions or not (captions and options.tar):
                raise
            return programs.source_of(options, False), None
    from keras_bidalle.tasks import mnist64

    dataset = "fashion_mnist" if "fashion" in options.task else "mnist"
    items = mnist64.load_items(dataset, options.data_dir)
    task = mnist64.MNIST64(items, options.split)
    count = options.count or _MNIST64_PICTURES
    source = mnist64.MNIST64Images(
        task, -(-count // 5), options.seed, options.listed
    )

    def judge(folder: Any) -> Any:
        name = options.judge or "item classifier, 1500 steps, seed 1"
        classifier = folder and _classifier(options.judge, items, folder)
        return mnist64.MNIST64Judge(source, classifier, task.grammar, name)

    return source, judge


def check_ranking(
    options: argparse.Namespace, asked: Asked, judge: Any
) -> None:
    """Raises unless there is what candidates are ranked by."""
    if options.rank_by is None:
        return
    whole = asked.whole is not None
    needed = {
        "model": (whole, "a TextImageModel"),
        "clip": (whole and options.clip, "a TextImageModel and --clip"),
        "judge": (whole and judge, "a TextImageModel and --task"),
        "classifier": (asked.classes, "a generator of classes"),
    }
    there, what = needed[options.rank_by]
    if not there or options.best_of is None:
        raise ValueError(
            f"--rank-by {options.rank_by} needs --best-of and {what}."
        )


def _classifier(judge: str | None, items: Any, folder: Any) -> Any:
    """The judge's classifier, trained once for a run where it has none."""
    from keras_bidalle.tasks import mnist64

    dense = judge == "dense"
    path = pathlib.Path(folder / "classifier.keras")
    if judge and not dense:
        path = pathlib.Path(judge)
    elif not os.path.isfile(path):
        kind = mnist64.DenseItemClassifier if dense else mnist64.ItemClassifier
        classifier = mnist64.train_item_classifier(
            items,
            seed=1,
            callbacks=[training.RunProgress("judge", batch_size=128)],
            kind=kind,
        )
        with atomic_path(path) as temporary:
            classifier.save(temporary)
    return keras.saving.load_model(path)
