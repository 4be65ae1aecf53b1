"""Images of a run for people: grids, captions beside images, curves."""

import math
import pathlib
import textwrap
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from keras_bidalle.files import atomic_path
from keras_bidalle.validation import (
    as_array,
    check_positive,
    check_positive_or_none,
    refused,
)

RIGHT, WRONG = "#1a7f37", "#cf222e"


def picture_grid(
    images: Any, columns: int | None = None, gap: int = 2
) -> np.ndarray:
    """Lays images out in rows.

    Args:
        images: uint8 array (B, H, W, 3).
        columns: int or `None` for a grid about as wide as high.
        gap: int, gray pixels between images.

    Returns:
        uint8 array (height, width, 3).
    """
    check_positive_or_none(columns=columns)
    images = _pictures(images, "images")
    count, height, width, _ = images.shape
    columns = columns or math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    grid = np.full(
        (rows * (height + gap) + gap, columns * (width + gap) + gap, 3),
        128,
        "uint8",
    )
    for i, image in enumerate(images):
        top = gap + (i // columns) * (height + gap)
        left = gap + (i % columns) * (width + gap)
        grid[top : top + height, left : left + width] = image
    return grid


def comparison_grid(
    originals: Any, reconstructions: Any, pairs: int = 4, gap: int = 2
) -> np.ndarray:
    """Lays originals out, each left of its reconstruction.

    Args:
        originals, reconstructions: uint8 arrays (B, H, W, 3).
        pairs: int, pairs in a row.
        gap: int, gray pixels between images.

    Returns:
        uint8 array (height, width, 3).
    """
    check_positive(pairs=pairs)
    originals = _pictures(originals, "originals")
    reconstructions = _pictures(reconstructions, "reconstructions")
    if originals.shape != reconstructions.shape:
        raise ValueError(
            "`originals` and `reconstructions` must have one shape. Received: "
            f"{originals.shape} and {reconstructions.shape}"
        )
    both = np.stack([originals, reconstructions], axis=1)
    both = both.reshape(-1, *originals.shape[1:])
    return picture_grid(both, columns=2 * min(pairs, len(originals)), gap=gap)


def save_png(path: str | pathlib.Path, image: Any, scale: int = 1) -> None:
    """Writes an image.

    Args:
        path: str or `pathlib.Path`, ending in .png.
        image: uint8 array (H, W, 3).
        scale: int, how many pixels each becomes on a side.
    """
    check_positive(scale=scale)
    image = _pictures(as_array("image", image)[None], "image")[0]
    image = image.repeat(scale, axis=0).repeat(scale, axis=1)
    with atomic_path(path) as temporary:
        Image.fromarray(image).save(temporary, format="PNG")


def save_captioned(
    path: str | pathlib.Path,
    captions: list[str],
    images: Any,
    columns: int = 4,
    title: str | None = None,
) -> None:
    """Draws each caption with the images made from it below.

    Args:
        path: str or `pathlib.Path`, ending in .png.
        captions: list of B str.
        images: uint8 array (B, H, W, 3) or (B, samples, H, W, 3).
        columns: int, captions in a row.
        title: str or `None`.
    """
    images = np.asarray(images)
    if images.ndim == 5:
        images = [picture_grid(row, columns=len(row)) for row in images]
    else:
        images = _pictures(images, "images")
    _check_lengths(captions=captions, images=images)
    # The image's own shape, and room for four lines of caption.
    height, width = images[0].shape[:2]
    height = 2.9 * height / width + 0.6
    figure, axes = _axes(len(captions), columns, 2.9, height, title)
    for ax, caption, image in zip(axes, captions, images, strict=True):
        ax.imshow(image, interpolation="nearest")
        ax.set_title(_wrapped(caption), fontsize=8)
    save_figure(figure, path)


def save_read_pictures(
    path: str | pathlib.Path,
    images: Any,
    truths: list[str],
    readings: list,
    columns: int = 4,
    title: str | None = None,
) -> None:
    """Draws images with their true captions and those read from them.

    Args:
        path: str or `pathlib.Path`, ending in .png.
        images: uint8 array (B, H, W, 3).
        truths: list of B str, the true captions.
        readings: list of B lists of (clause, right) pairs: the generated
            caption's clauses, str, and whether each is right, bool. Wrong
            ones are drawn red and crossed out with a leading "x".
        columns: int, images in a row.
        title: str or `None`.
    """
    images = _pictures(images, "images")
    _check_lengths(images=images, truths=truths, readings=readings)
    titles = [_wrapped(truth) for truth in truths]
    texts = [
        [
            (_wrapped(clause if right else f"x {clause}"), right)
            for clause, right in reading
        ]
        for reading in readings
    ]
    # Room for the longest title and the longest reading, in inches.
    above = max(_lines(text) for text in titles)
    under = max(sum(_lines(text) for text, _ in reading) for reading in texts)
    height = 2.9 + 0.14 * above + 0.23 * under
    figure, axes = _axes(len(images), columns, 2.9, height, title)
    style = {"verticalalignment": "top", "fontsize": 8}
    rows = zip(axes, images, titles, texts, strict=True)
    for ax, image, truth, reading in rows:
        ax.imshow(image, interpolation="nearest")
        ax.set_title(truth, fontsize=8)
        below = -0.04
        for text, right in reading:
            color = RIGHT if right else WRONG
            ax.text(
                0, below, text, transform=ax.transAxes, color=color, **style
            )
            below -= 0.075 * _lines(text)
    save_figure(figure, path)


def save_curves(
    path: str | pathlib.Path,
    history: list[dict],
    names: list[str] | None = None,
    title: str | None = None,
) -> None:
    """Draws figures of a run over its steps.

    Args:
        path: str or `pathlib.Path`, ending in .png.
        history: list of dicts with `step` and figures, as
            `keras_bidalle.training.resumable_fit` returns.
        names: list of str, the figures to draw; `None` for all. A figure and
            its `val_` twin share a plot.
        title: str or `None`.
    """
    is_list = isinstance(history, list | tuple)
    if not (is_list and history and all(isinstance(r, dict) for r in history)):
        raise refused("have a row, a list of dicts", history=history)
    if names is None:
        found = {key: None for row in history for key in row}
        names = [
            name
            for name in found
            if name not in ("epoch", "step")
            and name.removeprefix("val_") not in set(found) - {name}
        ]
    figure, axes = _axes(len(names), min(3, len(names)), 4.0, 3.0, title)
    for ax, name in zip(axes, names, strict=True):
        ax.set_axis_on()
        for key, label in ((name, "training"), (f"val_{name}", "validation")):
            points = [(r["step"], r[key]) for r in history if key in r]
            if points:
                ax.plot(*zip(*points, strict=True), label=label)
        ax.set_title(name, fontsize=9)
        ax.set_xlabel("step", fontsize=8)
        ax.tick_params(labelsize=8)
        ax.grid(alpha=0.3)
        ax.legend(fontsize=8)
    save_figure(figure, path)


def _pictures(images, name):
    images = as_array(name, images)
    if images.ndim == 4 and images.shape[3] == 1:  # Gray.
        images = images.repeat(3, axis=3)
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] != 3:
        raise ValueError(
            f"`{name}` must be uint8 of shape (batch, H, W, 3). Received: "
            f"dtype={images.dtype}, shape={images.shape}"
        )
    if not len(images):
        raise ValueError(f"`{name}` must hold a picture. Received: none")
    return images


def _check_lengths(**parts):
    for name, part in parts.items():
        if not isinstance(part, list | tuple | np.ndarray):
            raise refused("be a list", **{name: part})
    lengths = {name: len(part) for name, part in parts.items()}
    if len(set(lengths.values())) != 1 or 0 in lengths.values():
        raise ValueError(
            f"{', '.join(f'`{name}`' for name in parts)} must be of one "
            f"length, at least 1. Received: lengths {lengths}"
        )


def subplots(
    rows: int, columns: int, width: float, height: float
) -> tuple[Figure, np.ndarray]:
    """A figure without pyplot, which would keep it alive, and its axes."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(rows, columns, squeeze=False)


def _axes(count, columns, width, height, title):
    """A figure of so many plots, of which none has its axes drawn."""
    columns = min(columns, count)
    rows = math.ceil(count / columns)
    figure, axes = subplots(rows, columns, width * columns, height * rows)
    axes = axes.ravel()
    for ax in axes:
        ax.set_axis_off()
    if title:
        figure.suptitle(title, fontsize=10)
    return figure, axes[:count]


def _lines(text):
    return 1 + text.count("\n")


def _wrapped(text):
    # Words stay whole, as wide as they may be.
    return textwrap.fill(
        text, 34, break_long_words=False, break_on_hyphens=False
    )


def save_figure(figure: Figure, path: str | pathlib.Path) -> None:
    """Writes a figure as a PNG file."""
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=110)
