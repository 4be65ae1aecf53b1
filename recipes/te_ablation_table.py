"""What `te_ablation.py` prints and draws of its results."""

import grid_tables
import numpy as np

from keras_bidalle.metrics.translation_equivariance import content_blocks
from keras_bidalle.tasks.mnist64.grammar import LOCATIONS
from keras_bidalle.training.pictures import save_figure, subplots

COLUMNS = {
    "translation_equivariance": "equivariance, all cells",
    "foreground_translation_equivariance": "equivariance, foreground",
    "codebook_usage": "codebook in use",
    "perplexity": "perplexity",
    "psnr": "PSNR, dB",
    "read": "read in reconstructions",
    "text_to_image, unseen_instances": "text to image, unseen instances",
    "text_to_image, unseen_combinations": "text to image, unseen combinations",
    "image_to_text, unseen_instances": "image to text, unseen instances",
    "image_to_text, unseen_combinations": "image to text, unseen combinations",
}
COLORS = {10.0: "tab:blue", 0.0: "tab:orange"}


def text(results):
    """All tables, in Markdown."""
    cells = grid_tables.by_seed(results, "downsampling", "orthogonality")
    # As in the grid: the published way first.
    cells = dict(
        sorted(cells.items(), key=lambda item: (-len(item[1]), item[0]))
    )
    titles = [f"{way}, lambda = {weight:g}" for way, weight in cells]
    return "\n\n".join(
        [
            grid_tables.spent(results),
            grid_tables.means(cells, titles, COLUMNS),
            differences(cells),
        ]
    )


def differences(cells):
    """lambda = 10 less lambda = 0 with the same seed, and a paired t-test.

    Besides the figures at the end, equivariance at equal use of the codebook:
    codes that nobody chooses are equivariant for free.
    """
    rows = []
    for way in dict.fromkeys(way for way, _ in cells):
        with_it, without = (cells.get((way, w), {}) for w in (10.0, 0.0))
        pairs = grid_tables.pairs(with_it, without)
        columns = {name: f"{way}: {title}" for name, title in COLUMNS.items()}
        rows += grid_tables.difference_rows(pairs, columns)
        for measure in ("equivariance", "foreground"):
            for use in ("usage", "perplexity"):
                found = [
                    at_equal_use(high, low, measure, use) for high, low in pairs
                ]
                rows += grid_tables.difference_row(
                    f"{way}: {measure} at equal {use}",
                    [value for value in found if value is not None],
                )
    return grid_tables.differences("lambda 10 less 0", rows)


def at_equal_use(high, low, measure, use):
    """The mean difference of two runs where they used their codes alike.

    Each report of the one is compared with the other's curve, linear between
    its reports; `None` where no report of the one is within the other's.
    """
    curve = sorted((row[use], row[measure]) for row in low["history"])
    uses, values = np.asarray(curve).T
    rows = [r for r in high["history"] if uses[0] <= r[use] <= uses[-1]]
    if not rows:
        return None
    expected = np.interp([row[use] for row in rows], uses, values)
    return float(np.mean([row[measure] for row in rows] - expected))


def draw(results, path):
    """Equivariance over steps, usage and perplexity; a line a run."""
    measures = {"equivariance": "all cells", "foreground": "foreground"}
    figure, axes = subplots(len(measures), 3, 12.0, 3.0 * len(measures))
    for row, (measure, title) in zip(axes, measures.items(), strict=True):
        for ax, over in zip(row, ("step", "usage", "perplexity"), strict=True):
            for result in results:
                points = [(r[over], r[measure]) for r in result["history"]]
                weight = result["orthogonality"]
                ax.plot(
                    *zip(*points, strict=True),
                    color=COLORS[weight],
                    marker=".",
                    linewidth=0.8,
                    label=f"lambda = {weight:g}",
                )
            ax.set_xlabel(over)
            ax.set_ylabel(f"equivariance, {title}")
            ax.grid(alpha=0.3)
            handles, labels = ax.get_legend_handles_labels()
            once = dict(zip(labels, handles, strict=True))
            ax.legend(once.values(), once.keys(), fontsize=8)
    save_figure(figure, path)


def draw_places(tokenizer, task, path, num_items=3, seed=7):
    """The same item at five places; codes that differ from the center's.

    Args:
        tokenizer: `ImageTokenizer` with codes (h, w).
        task: `MNIST64` of the split that the items are drawn from.
        path: of a PNG.
        num_items: int.
        seed: int.
    """
    groups = task.translated_groups(num_items, seed)
    codes = tokenizer.encode(groups.reshape(-1, *groups.shape[2:]))
    codes = np.asarray(codes).reshape(*groups.shape[:2], *codes.shape[1:])
    blocks, pixels = content_blocks(codes), content_blocks(groups)
    differ = blocks != blocks[:, :1]
    figure, axes = subplots(num_items, len(LOCATIONS), 1.7 * 5, 1.9 * num_items)
    for row, group in enumerate(pixels):
        for column, place in enumerate(LOCATIONS):
            ax = axes[row, column]
            cells = differ.shape[2]
            extent = (0, cells, cells, 0)
            ax.imshow(group[column], extent=extent)
            marks = np.zeros((cells, cells, 4))
            marks[differ[row, column]] = (1.0, 0.6, 0.0, 0.6)
            ax.imshow(marks, extent=extent)
            share = differ[row, column].mean()
            told = "its codes" if column == 0 else f"{share:.0%} differ"
            ax.set_title(f"{place}: {told}", fontsize=6)
            ax.set_xticks(range(cells + 1), [])
            ax.set_yticks(range(cells + 1), [])
            ax.grid(alpha=0.3, linewidth=0.4)
            ax.tick_params(length=0)
    save_figure(figure, path)
