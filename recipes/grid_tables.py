"""Tables of what the runs of a grid leave: means over seeds, and pairs."""

import numpy as np
from scipy import stats

from keras_bidalle.messages import markdown_table


def by_seed(results, *names):
    """Results by the values of some of their fields.

    Returns:
        dict from a tuple of values to a dict from a seed to a result.
    """
    cells = {}
    for result in results:
        key = tuple(result[name] for name in names)
        cells.setdefault(key, {})[result["seed"]] = result
    return cells


def spent(results):
    """How many runs there are, and what they took."""
    minutes = sum(result["cpu_minutes"] for result in results)
    return f"{len(results)} runs, {minutes / 60:.1f} hours of one core"


def mean_and_error(values):
    """The mean of values, and its standard error where there are several."""
    mean = f"{np.mean(values):.4g}"
    if len(values) < 2:
        return mean
    return f"{mean} ± {np.std(values, ddof=1) / len(values) ** 0.5:.2g}"


def figure(cell, name):
    """The mean over the seeds of a cell that have a figure, or ""."""
    figures = [result["figures"] for result in cell.values()]
    values = [found[name] for found in figures if name in found]
    return mean_and_error(values) if values else ""


def means(cells, titles, columns):
    """A table with a column for each cell.

    Args:
        cells: as of `by_seed`.
        titles: list of str, of the cells.
        columns: dict from the name of a figure to its title.
    """
    lines = [["seeds", *(len(cell) for cell in cells.values())]]
    for name, title in columns.items():
        row = [figure(cell, name) for cell in cells.values()]
        lines.append([title, *row])
    return markdown_table(["", *titles], lines)


def rows(cells, titles, columns):
    """As `means`, with a row for each cell."""
    lines = [
        [title, len(cell), *(figure(cell, name) for name in columns)]
        for title, cell in zip(titles, cells.values(), strict=True)
    ]
    return markdown_table(["", "seeds", *columns.values()], lines)


def pairs(first, second):
    """Results of the same seeds, of two cells."""
    seeds = sorted(first.keys() & second.keys())
    return [(first[seed], second[seed]) for seed in seeds]


def difference_rows(pairs, columns):
    """Of each figure, the difference within pairs."""
    rows = []
    for name, title in columns.items():
        found = [
            one["figures"][name] - other["figures"][name]
            for one, other in pairs
            if name in one["figures"] and name in other["figures"]
        ]
        rows += difference_row(title, found)
    return rows


def difference_row(title, found):
    """A row of `differences`: none without values."""
    if not found:
        return []
    p_value = ""
    if len(found) > 1 and np.ptp(found) > 0:
        p_value = f"{stats.ttest_1samp(found, 0.0).pvalue:.2g}"
    return [[title, str(len(found)), mean_and_error(found), p_value]]


def differences(title, rows):
    """A table of `difference_row`s."""
    head = [title, "pairs", "difference", "p, paired t-test"]
    return markdown_table(head, rows)
