"""Measures a model in every direction, resumably, and writes a report."""

import functools
import importlib.metadata
import json
from typing import Any

import keras
import numpy as np

from keras_bidalle.backend.current import backend_name
from keras_bidalle.evaluation import figures
from keras_bidalle.evaluation.directions import MEASURES, Subject
from keras_bidalle.evaluation.parts import Arrays, Parts
from keras_bidalle.evaluation.protocol import SAMPLES
from keras_bidalle.evaluation.report import write_report
from keras_bidalle.metrics.frechet import FeatureStatistics
from keras_bidalle.training import RunFolder
from keras_bidalle.version import __version__

# Examples a part: what a kill may cost.
PART = 50
_VERSIONS = ("keras", "numpy", "pillow")

Missing = dict[str, list[str]]


def evaluate(
    subject: Subject,
    folder: RunFolder,
    about: dict[str, Any],
    reference: FeatureStatistics | None = None,
) -> dict[str, Any]:
    """Measures a model, or what is left of it.

    Leaves in the folder `evaluation.json`, every figure with all that it
    depends on; `report.html`, one file to look at; and `parts/`, what a
    resumed evaluation goes on from.

    Args:
        subject: `Subject`, whose protocol says what is measured.
        folder: `keras_bidalle.training.RunFolder`.
        about: dict of JSON values, what the model and the data are.
        reference: `FeatureStatistics` that Frechet distances are computed
            from instead of the examples, or `None`.

    Returns:
        dict, the content of `evaluation.json`.

    Raises:
        ValueError: when no example can be read, or captions are asked for
            that the data has not.
    """
    directions = subject.protocol.directions
    names = list(directions)
    compared = names != ["image_to_text"] and subject.extractors
    if compared and subject.examples is not None:
        names = ["originals", *names]
    parts = {}
    for name in names:
        count = len(subject.rows(name))
        parts[name] = parts_of(folder, name, count)
        bar = keras.utils.Progbar(count, unit_name="picture")
        print(f"{name}, {count} pictures")
        measure = functools.partial(_measure, subject, name)
        parts[name].complete(measure, bar.update)
        if not len(parts[name].column("indices")):
            _nothing_read(subject.rows(name))
    told = {}
    of_examples = [name for name in names if name not in SAMPLES]
    if of_examples:
        asked = len(subject.examples)
        read = len(parts[of_examples[0]].column("indices"))
        told["examples"] = {
            "asked": asked,
            "read": read,
            "skipped": asked - read,
        }
    missing: Missing = {name: [] for name in directions}
    found: dict[str, Any] = {}
    shown: dict[str, Any] = {}
    for name in directions:
        found[name], shown[name] = _figures(
            subject, name, parts, reference, missing[name].append
        )
    result = {
        **about,
        "protocol": subject.protocol.config(),
        **told,
        "extractors": {e.name: e.describe() for e in subject.extractors},
        "figures": found,
        "left_out": missing,
        "versions": {
            "keras_bidalle": __version__,
            "backend": backend_name(),
            **{name: importlib.metadata.version(name) for name in _VERSIONS},
        },
    }
    folder.write("evaluation.json", result)
    write_report(folder / "report.html", subject, result, shown)
    return result


def parts_of(folder: Any, name: str, count: int) -> Parts:
    """The parts of a direction in a run's folder."""
    bounds = [(i, min(i + PART, count)) for i in range(0, count, PART)]
    return Parts(folder / "parts" / name, bounds)


def _nothing_read(examples: Any) -> None:
    reasons = ["unknown", *examples.skipped.values()]
    raise ValueError(
        f"No picture of {examples.source.description[:100]} can be read, the "
        f"last one because: {reasons[-1][:120]}"
    )


def _measure(subject: Subject, name: str, indices: range) -> Arrays:
    rows = subject.rows(name).read(indices)
    if not len(rows.indices):
        return {"indices": rows.indices}
    return MEASURES[name](subject, rows)


def _figures(
    subject: Subject,
    name: str,
    parts: dict[str, Parts],
    reference: FeatureStatistics | None,
    told: Any,
) -> tuple[figures.Figures, dict[str, Any]]:
    """A direction's figures, and what its part of the report shows."""
    each = parts[name]
    indices = each.column("indices")
    found = figures.row_figures(subject, each)
    shown: dict[str, Any] = {"indices": indices}
    if name == "reconstruction":
        codebook, shown["codes"] = figures.codebook_figures(each)
        found |= codebook
        shown["order"] = np.argsort(each.column("row/psnr"), kind="stable")
    if name == "image_to_text":
        written = each.column("written").tolist()
        references = [json.loads(row) for row in each.column("references")]
        if all(references):
            captions, cider = figures.caption_figures(
                subject, written, references
            )
            found |= captions
            shown["order"] = np.argsort(cider, kind="stable")
        shown["written"] = written
    elif subject.extractors:
        found |= figures.set_figures(
            subject,
            parts.get("originals"),
            each,
            name == "reconstruction",
            reference,
            told,
        )
    if "judged" in each.names:
        shown["judged"] = each.column("judged")
        shares = subject.judge.shares(shown["judged"], indices)
        shown["shares"] = shares
        if "order" not in shown:
            shown["order"] = np.argsort(shares, kind="stable")
    if "order" not in shown:
        shown["order"] = np.arange(len(indices))
    return found, shown
