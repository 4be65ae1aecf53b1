"""From what was measured of every example to figures with their spread."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from keras_bidalle import metrics
from keras_bidalle.evaluation.directions import Subject
from keras_bidalle.evaluation.parts import Parts
from keras_bidalle.metrics.captions import bleu_counts, bleu_of_counts
from keras_bidalle.metrics.frechet import FeatureStatistics

Figures = dict[str, Any]
# Means over rows need no features, so they may be drawn more often.
_CHEAP_REPLICATES = 200


def figure(value: float, spread: float, count: int, **more: Any) -> Figures:
    """One figure of the JSON file, rounded to what is the same anywhere."""
    return {
        "value": _rounded(value),
        "spread": _rounded(spread),
        "count": count,
        **more,
    }


def _rounded(value: float) -> float:
    return float(f"{value:.6g}")


def row_figures(subject: Subject, parts: Parts) -> Figures:
    """Means of the figures that every example has by itself."""
    found: Figures = {}
    for name in parts.names:
        if not name.startswith("row/"):
            continue
        values = parts.column(name)
        found[name.removeprefix("row/")] = _mean(subject, values)
    if "judged" in parts.names:
        judged, indices = parts.column("judged"), parts.column("indices")
        judge = subject.judge

        def accuracy(rows: np.ndarray) -> float:
            return judge.accuracy(judged[rows], indices[rows])

        found[judge.figure] = _bootstrapped(
            subject, accuracy, len(judged), judge=judge.name
        )
    return found


def _mean(subject: Subject, values: np.ndarray) -> Figures:
    return _bootstrapped(
        subject, lambda rows: float(values[rows].mean()), len(values)
    )


def _bootstrapped(
    subject: Subject,
    of_rows: Callable[[np.ndarray], float],
    count: int,
    **more: Any,
) -> Figures:
    spread = metrics.bootstrap_spread(
        of_rows, count, _CHEAP_REPLICATES, subject.protocol.seed
    )
    return figure(of_rows(np.arange(count)), spread, count, **more)


def codebook_figures(parts: Parts) -> tuple[Figures, np.ndarray]:
    """Use and perplexity of the codebook, and how often each code was used."""
    counts = parts.column("codes").sum(axis=0)
    shares = counts / counts.sum()
    used = shares[shares > 0]
    return (
        {
            "codebook_usage": figure(
                float((counts > 0).mean()), 0.0, int(counts.sum())
            ),
            "perplexity": figure(
                float(np.exp(-(used * np.log(used)).sum())),
                0.0,
                int(counts.sum()),
            ),
        },
        counts,
    )


def caption_figures(
    subject: Subject, written: list[str], references: list[list[str]]
) -> tuple[Figures, np.ndarray]:
    """BLEU, ROUGE-L, CIDEr-D, exact match; and CIDEr-D of each caption."""
    counts = bleu_counts(written, references)
    found: Figures = {}
    for order in range(4):

        def score(rows: np.ndarray, order: int = order) -> float:
            return float(bleu_of_counts(counts[rows])[order])

        found[f"bleu_{order + 1}"] = _bootstrapped(subject, score, len(written))
    cider = metrics.cider_d(written, references)
    for name, values in (
        ("rouge_l", metrics.rouge_l(written, references)),
        ("cider_d", cider),
        ("exact_match", metrics.exact_match(written, references)),
    ):
        found[name] = _mean(subject, values)
    return found, cider


def set_figures(
    subject: Subject,
    real: Parts | None,
    made: Parts,
    paired: bool,
    reference: FeatureStatistics | None,
    told: Callable[[str], Any],
) -> Figures:
    """Distances between the sets of features of originals and what was made.

    Args:
        subject: `Subject`.
        real, made: `Parts` of both; without `real` there are only figures
            of `made` alone, and those of `reference`.
        paired: bool, whether row i of both is of one example: figures of
            sameness are then added, and precision and recall left out.
        reference: stored statistics that take the place of the originals'
            in Frechet distances, or `None`.
        told: function of a line, why a figure is missing.

    Returns:
        dict of figures.
    """
    found: Figures = {}
    for extractor in subject.extractors:
        for name in made.names:
            if name.startswith(f"features/{extractor.name}@") or (
                name == f"features/{extractor.name}"
            ):
                radius = name.partition("@")[2]
                label = extractor.frechet_name + (
                    f"_blur_{radius}" if radius else ""
                )
                _try(
                    found,
                    label,
                    partial(_frechet, subject, real, made, name, reference),
                    told,
                )
        key = f"features/{extractor.name}"
        limit = subject.protocol.kept
        label = extractor.name
        classes = f"classes/{label}"
        if real is not None:
            first, second = real.column(key, limit), made.column(key, limit)
            _try(
                found,
                f"kernel_{label}",
                partial(_kernel, subject, first, second),
                told,
            )
        if paired and real is not None:
            if classes in made.names:
                same = real.column(classes).argmax(1) == made.column(
                    classes
                ).argmax(1)
                found[f"same_class_{label}"] = _mean(
                    subject, same.astype("float64")
                )
            continue
        if real is not None:
            _try(
                found,
                None,
                partial(_neighbors, subject, first, second, label),
                told,
            )
        if classes in made.names:
            rows = made.column(classes)
            _try(
                found,
                f"inception_score_{label}",
                partial(_inception_score, subject, rows),
                told,
            )
    return found


def _try(
    found: Figures,
    name: str | None,
    make: Callable[[], Figures],
    told: Callable[[str], Any],
) -> None:
    """Adds a figure, or says why these examples have none."""
    try:
        made = make()
    except ValueError as error:
        told(f"{name or 'precision and recall'}: {error}")
        return
    found |= made if name is None else {name: made}


def _frechet(
    subject: Subject,
    real: Parts | None,
    made: Parts,
    name: str,
    reference: FeatureStatistics | None,
) -> Figures:
    # Part by part: the sums are all that is held of large sets.
    one, two = FeatureStatistics(), FeatureStatistics()
    for parts, statistics in ((real, one), (made, two)):
        for features in [] if parts is None else parts.each(name):
            statistics.update(features)
    value = metrics.frechet_distance(reference or one, two)
    limit = subject.protocol.kept
    second = made.column(name, limit)
    first = second if real is None else real.column(name, limit)
    rng = np.random.default_rng(subject.protocol.seed)

    def of_rows(rows: np.ndarray) -> float:
        # Row i of both is of one example where there are as many.
        others = rows
        if len(first) != len(second):
            others = rng.integers(len(first), size=len(first))
        return metrics.frechet_distance(
            reference or first[others], second[rows]
        )

    return figure(
        value,
        _spread(subject, of_rows, len(second)),
        two.count or 0,
        reference_count=(reference or one).count,
    )


def _spread(
    subject: Subject, of_rows: Callable[[np.ndarray], float], count: int
) -> float:
    protocol = subject.protocol
    return metrics.bootstrap_spread(
        of_rows, count, protocol.replicates, protocol.seed
    )


def _kernel(subject: Subject, first: np.ndarray, second: np.ndarray) -> Figures:
    seed = subject.protocol.seed
    value, _ = metrics.kernel_distance(first, second, seed=seed)

    def of_sets(first: np.ndarray, second: np.ndarray) -> float:
        return metrics.kernel_distance(first, second, subsets=10, seed=seed)[0]

    spread = _half_spread(subject, of_sets, (first, second), 2)
    return figure(value, float(spread), len(second))


def _neighbors(
    subject: Subject, first: np.ndarray, second: np.ndarray, name: str
) -> Figures:
    k, wide = subject.protocol.neighbors

    def of_sets(first: np.ndarray, second: np.ndarray) -> np.ndarray:
        found = {
            **metrics.precision_recall(first, second, k),
            **metrics.density_coverage(first, second, wide),
        }
        names[:] = found
        return np.asarray(list(found.values()))

    names: list[str] = []
    least = max(k, wide) + 1
    spreads = _half_spread(subject, of_sets, (first, second), least)
    values = of_sets(first, second)
    return {
        f"{key}_{name}": figure(value, spread, len(second))
        for key, value, spread in zip(
            names, values, np.broadcast_to(spreads, len(values)), strict=True
        )
    }


def _half_spread(
    subject: Subject,
    of_sets: Callable[[np.ndarray, np.ndarray], Any],
    sets: tuple[np.ndarray, np.ndarray],
    least: int,
) -> Any:
    """The standard error of figures of pairs of pictures, by random halves.

    A picture drawn twice, as the bootstrap draws, is its own neighbor. The
    deviation over halves is that of the whole (Shao and Wu, 1989: the
    jackknife that leaves d out).
    """
    first, second = sets
    count = min(len(first), len(second))
    size = max(least, count // 2)
    if size >= count:
        return 0.0
    rng = np.random.default_rng(subject.protocol.seed)

    def half(features: np.ndarray) -> np.ndarray:
        # Of sets of unequal length, the same share of each.
        part = max(least, round(len(features) * size / count))
        return np.sort(rng.choice(len(features), part, replace=False))

    values = []
    for _ in range(max(subject.protocol.replicates, 2)):
        rows = half(second)
        # Row i of both is of one example where there are as many.
        others = rows if len(first) == len(second) else half(first)
        values.append(of_sets(first[others], second[rows]))
    return np.std(values, axis=0) * (size / (count - size)) ** 0.5


def _inception_score(subject: Subject, rows: np.ndarray) -> Figures:
    protocol = subject.protocol
    # Each of a hundred pictures at least; a few say nothing of many classes.
    splits = max(1, min(protocol.splits, len(rows) // 100))
    value, spread = metrics.inception_score(rows, splits, protocol.seed)
    return figure(value, spread, len(rows), splits=splits)
