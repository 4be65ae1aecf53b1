"""Figures that a model is judged by while it trains: distances, captions."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from keras_bidalle import metrics
from keras_bidalle.evaluation.opening import open_extractor
from keras_bidalle.metrics.extractors import Extractor

# Images that are looked at, where the settings do not say how many.
_JUDGED = 256
# Those of captions, of which all are the better the higher they are.
CAPTION_FIGURES = ("bleu_4", "rouge_l", "cider_d", "exact_match")


def judged_images(settings: Mapping[str, Any]) -> int:
    """How many images the figures are of, at most."""
    return settings["judged_images"] or _JUDGED


def opened_extractors(
    settings: Mapping[str, Any],
) -> list[Extractor]:
    """The extractors that the settings of a training name.

    Raises:
        ValueError, FileNotFoundError: as of `evaluation.open_extractor`.
    """
    return [open_extractor(name) for name in settings["extractors"] or ()]


def distance_names(extractors: Iterable[Extractor]) -> list[str]:
    """What `Distances` calls the figures of some extractors."""
    return [
        name
        for each in extractors
        for name in (each.frechet_name, f"kernel_{each.name}")
    ]


class Distances:
    """How far made images lie from real ones, by some extractors.

    Args:
        extractors: list of `Extractor`.
        images: uint8 array (N, H, W, C), the real ones.
    """

    def __init__(self, extractors: list[Extractor], images: np.ndarray) -> None:
        self._real = [(each, each(images).features) for each in extractors]

    def __call__(self, made: np.ndarray) -> dict[str, float]:
        """Frechet and kernel distances of uint8 images (M, H, W, C)."""
        found = {}
        for extractor, real in self._real:
            features = extractor(made).features
            found[extractor.frechet_name] = metrics.frechet_distance(
                real, features
            )
            found[f"kernel_{extractor.name}"] = metrics.kernel_distance(
                real, features
            )[0]
        return found


def generator_figures(
    model: Any,
    rows: Any,
    extractors: list[Extractor],
    images: np.ndarray | None,
    settings: Mapping[str, Any],
    sampling: Mapping[str, Any],
) -> Callable[[], dict[str, float]] | None:
    """What measures a generator on held-out rows, or `None` for nothing.

    Args:
        model: what `rows.model` makes.
        rows: `CaptionedImages` or `ClassedCodes`, with `lines`.
        extractors: list of `Extractor`, of distances.
        images: uint8 array (N, H, W, C), which drawn ones are compared with.
        settings: of the training: whether there are `caption_figures`, and
            of how many images all is, `judged_images`.
        sampling: dict of settings of text to image.

    Raises:
        ValueError: for figures of captions where none are written.
    """
    writes = bool(settings["caption_figures"])
    if writes and not rows.reads:
        raise ValueError(
            "The training's `caption_figures` need a generator of captions."
        )
    chosen = np.unique(
        np.linspace(0, len(rows) - 1, judged_images(settings)).astype(int)
    )
    lines = [rows.lines[i] for i in chosen]
    distances = None
    if extractors and images is not None:
        distances = Distances(extractors, images[: judged_images(settings)])
    if distances is None and not writes:
        return None

    def measure() -> dict[str, float]:
        found = {}
        if distances is not None:
            made = model.text_to_image(
                [row[0] for row in lines],
                seed=list(range(len(lines))),
                **sampling,
            )
            found |= distances(made)
        if writes:
            # Of the codes: images that are encoded again may have others.
            tokens = model.generator.generate_text(
                rows.codes[chosen].astype("int32"),
                seed=0,
                legal=model.legal_tokens(),
            )
            written = rows.caption_tokenizer.decode(tokens)
            found |= _of_captions(written, lines)
        return found

    return measure


def _of_captions(
    written: list[str], lines: list[list[str]]
) -> dict[str, float]:
    values = (
        metrics.bleu(written, lines)[3],
        *(
            figure(written, lines).mean()
            for figure in (
                metrics.rouge_l,
                metrics.cider_d,
                metrics.exact_match,
            )
        ),
    )
    return dict(zip(CAPTION_FIGURES, map(float, values), strict=True))
