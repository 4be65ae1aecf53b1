"""What a stage is judged by, while it trains, on data that it never sees."""

from collections.abc import Callable, Iterable
from typing import Any

import keras
import numpy as np

from keras_bidalle import data, metrics, training
from keras_bidalle.image_tokenizers import ImageTokenizer
from keras_bidalle.messages import one_line, shown
from keras_bidalle.metrics.extractors import Extractor
from keras_bidalle.programs.held_out_figures import (
    CAPTION_FIGURES,
    Distances,
    judged_images,
)
from keras_bidalle.validation import as_uint8_images

Settings = dict[str, Any]
EVALUATION = (
    "evaluate_every",
    "keep_best",
    "patience",
    "extractors",
    "caption_figures",
)
# A figure that is the better the higher it is; of others the least is best.
_HIGHER = ("psnr", "ssim", *CAPTION_FIGURES)


class HeldOut:
    """Validation of a stage: arguments and callbacks of its `fit`.

    Args:
        make_batch: function from a step to a batch of held-out rows, as `fit`
            takes them, the rows of this process.
        num_batches: int.
        measure: function without arguments to a dict of further figures, or
            `None`.
        settings: dict of the training, of which `evaluate_every` says after
            how many reports all this is done (1 by default), `keep_best`
            which figure the weights are kept by, such as "loss", and
            `patience` after how many that are no better the run ends.
    """

    def __init__(
        self,
        make_batch: Callable[[int], Any],
        num_batches: int,
        measure: Callable[[], dict[str, float]] | None,
        settings: Settings,
    ) -> None:
        self.every = settings["evaluate_every"] or 1
        self.batches = data.as_dataset(make_batch, num_batches=num_batches)
        self.callbacks: list[keras.callbacks.Callback] = []
        if settings["average_momentum"]:
            self.callbacks.append(training.EvaluateAveraged())
        if measure is not None:
            self.callbacks.append(training.HeldOutFigures(measure, self.every))
        self.best = None
        figure = settings["keep_best"]
        if figure is None and settings["patience"] is not None:
            figure = "loss"
        if figure is not None:
            self.best = training.KeepBest(
                f"val_{figure}",
                "max" if figure in _HIGHER else "min",
                settings["patience"],
            )
            self.callbacks.append(self.best)

    def fit_arguments(self, reports: int) -> dict[str, Any]:
        """Arguments of a `fit` of so many reports; the last one is judged."""
        when = {*range(self.every, reports, self.every), reports}
        return {
            "validation_data": self.batches,
            "validation_freq": sorted(when),
        }


def is_asked_for(settings: Settings) -> bool:
    """Whether any setting has to do with what is held out."""
    return any(settings.get(name) is not None for name in EVALUATION)


def check_keep_best(settings: Settings, known: Iterable[str]) -> None:
    """Raises a `ValueError` unless weights are kept by a figure that is known.

    Args:
        settings: dict of the training.
        known: names of the figures that its stage has.
    """
    figure, names = settings["keep_best"], sorted(set(known))
    if figure is not None and figure not in names:
        told = f"must be one of {', '.join(names)}"
        raise ValueError(
            one_line(
                f"The training's `keep_best` {told}. "
                f"Received: keep_best={shown(figure)}"
            )
        )


def held_out_images(
    task: Any,
    tokenizer: ImageTokenizer,
    settings: Settings,
    extractors: list[Extractor],
) -> HeldOut | None:
    """The validation of an image tokenizer, where the settings ask for one.

    PSNR of their reconstructions is among the figures, and so are the
    distances by `extractors` and those of the task.
    """
    images = None
    if is_asked_for(settings):
        images = task.held_out(tokenizer.image_shape)
    if images is None:
        return None
    size = settings["batch_size"]

    @data.own_rows
    def make_batch(step: int) -> np.ndarray:
        rows = np.arange(step * size, (step + 1) * size)
        return images[rows % len(images)]

    judged = judged_images(settings)
    distances = Distances(extractors, images[:judged])

    def measure() -> dict[str, float]:
        made = as_uint8_images(tokenizer.reconstruct(images))
        decibels = keras.ops.convert_to_numpy(metrics.psnr(images, made))
        return {
            "psnr": float(decibels.mean()),
            **distances(made[:judged]),
            **task.held_out_figures(tokenizer),
        }

    steps = max(1, len(images) // size)
    return HeldOut(make_batch, steps, measure, settings)


def held_out_rows(
    rows: Any,
    settings: Settings,
    seed: int,
    measure: Callable[[], dict[str, float]] | None = None,
) -> HeldOut | None:
    """The validation of a generator on `CaptionedCodes`, or `None`.

    `measure` gives further figures, as `HeldOut` takes it.
    """
    if rows is None:
        return None
    size = settings["batch_size"]

    @data.own_rows
    def make_batch(step: int) -> dict[str, np.ndarray]:
        return rows.batch(
            size, (seed, 4, step), settings["text_to_image_share"]
        )

    return HeldOut(make_batch, max(1, len(rows) // size), measure, settings)
