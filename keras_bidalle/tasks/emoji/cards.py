"""Model cards of a run: how it was trained and what was measured."""

from typing import Any

from keras_bidalle.backend.current import backend_name
from keras_bidalle.messages import markdown_table

LICENSES = """The weights are under the Apache License 2.0. They were trained
on pictures of Noto Emoji (Apache 2.0), Twemoji (CC BY 4.0, copyright Twitter,
Inc and other contributors) and Fluent Emoji Flat (MIT, copyright Microsoft
Corporation), with names and keywords of Unicode CLDR (Unicode License v3)."""
_READERS = {
    "image_to_text": "read by the model",
    "nearest_picture": "name of the nearest training picture",
    "text_to_image": "drawn, read by the classifier",
    "real_pictures": "real, read by the classifier",
}


def cards(folder: Any, plan: Any, tokenizer: Any) -> dict[str, str]:
    """As `Task.cards`: from the preset's folder to Markdown."""
    figures = folder.read("metrics.json")
    trained = (
        f"on {plan.task.description} by `recipes/{plan.program}` (Keras on "
        f"{backend_name()}, {plan.policy}, seed {plan.seed})"
    )
    result = {"tokenizer": _tokenizer_card(tokenizer, figures, trained)}
    if plan.generator is not None:
        result["model"] = _model_card(plan, figures, trained)
    return result


def _percent(cell: dict[str, Any]) -> str:
    return f"{cell['accuracy']:.1%} ± {cell['spread']:.1%}"


def _tokenizer_card(
    tokenizer: Any, figures: dict[str, Any], trained: str
) -> str:
    count = " x ".join(map(str, tokenizer.code_shape))
    table = markdown_table(
        ["pictures", "PSNR"],
        [
            [split, f"{cell['psnr']:.2f} ± {cell['spread']:.2f} dB"]
            for split, cell in figures["tokenizer"].items()
            if isinstance(cell, dict)
        ],
    )
    return f"""# An image tokenizer of 64x64 emoji

64x64x3 pictures to {count} codes of {tokenizer.num_codes} and back, trained
{trained}.

{table}

{LICENSES}
"""


def attribute_table(report: dict[str, Any]) -> str:
    """A Markdown table of one split: who reads what, how often right."""
    columns = [n for n in report["image_to_text"] if n != "all"] + ["all"]
    rows = []
    for kind, title in _READERS.items():
        cells = [
            _percent(report[kind][name]) if name in report[kind] else ""
            for name in columns
        ]
        rows.append([title, *cells])
    return markdown_table(["", *columns], rows)


def _ranks(report: dict[str, Any]) -> str:
    lines = []
    for kind, found in report.get("retrieval", {}).items():
        recalls = ", ".join(
            f"{found[f'recall_at_{k}']:.0%} among the first {k}"
            for k in (1, 5, 10)
        )
        lines.append(
            f"- the right {kind} among {found['among']}: mean reciprocal rank "
            f"{found['mean_reciprocal_rank']:.2f} ± {found['spread']:.2f}; "
            f"{recalls} ({found['count']} asked)"
        )
    return "\n".join(lines)


def _model_card(plan: Any, figures: dict[str, Any], trained: str) -> str:
    settings = plan.generator.training
    parts = []
    for split in ("held_vendor", "held_combination"):
        report = figures[split]
        distance = report["distance_to_training"]
        parts.append(
            f"## {split}, {report['image_to_text']['name']['count']} "
            f"pictures\n\n{attribute_table(report)}\n\n{_ranks(report)}\n\n"
            "Mean distance to the nearest training picture: drawn "
            f"{distance['drawn']:.3f}, real {distance['real']:.3f} (1: from "
            "black to white)."
        )
    sampling = ", ".join(f"{k} {v}" for k, v in figures["sampling"].items())
    tables = "\n\n".join(parts)
    return f"""# Names to emoji and back

A `keras_bidalle.TextImageModel` of 64x64 emoji.

```python
model = keras_bidalle.load("path/to/this/folder")
images = model.text_to_image(["red heart, noto style"], seed=0)
texts = model.image_to_text(images)
```

Trained for {settings["steps"]} steps of {settings["batch_size"]} rows
({settings["text_to_image_share"]:.0%} text to image), {trained}. Drawn with
{sampling}. Shares that are right, with their standard errors:

{tables}

{LICENSES}
"""
