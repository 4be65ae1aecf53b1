"""The report of an evaluation: one HTML file that needs nothing else."""

import base64
import html
import io
import pathlib
from typing import Any

import numpy as np
from PIL import Image

from keras_bidalle.evaluation import directions
from keras_bidalle.evaluation.directions import Subject
from keras_bidalle.evaluation.protocol import SAMPLES
from keras_bidalle.files import atomic_path

# Pictures of a grid, and of the worst and the best cases each.
_SHOWN, _EXTREME = 12, 6
# Sides that small pictures are enlarged to.
_LEAST_SIDE = 128
_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto;
  max-width: 70rem; padding: 0 1rem; color: #1f2328; }
table { border-collapse: collapse; margin: 1rem 0; }
td, th { border: 1px solid #d0d7de; padding: .3rem .7rem; text-align: left;
  vertical-align: top; }
td.number { text-align: right; font-variant-numeric: tabular-nums; }
figure { display: inline-block; margin: .4rem; max-width: 26rem;
  vertical-align: top; }
figcaption { font-size: 13px; }
img { image-rendering: pixelated; max-width: 100%; }
pre { background: #f6f8fa; padding: 1rem; overflow-x: auto; }
"""


def write_report(
    path: pathlib.Path,
    subject: Subject,
    result: dict[str, Any],
    shown: dict[str, Any],
) -> None:
    """Writes the report.

    Args:
        path: `pathlib.Path` of the file.
        subject: `Subject`, which draws again what is shown.
        result: dict, the content of `evaluation.json`.
        shown: dict from direction to what is shown of it.
    """
    title = html.escape(f"Evaluation of {result['model']['name']}")
    body = [f"<h1>{title}</h1>", _about(result)]
    for name, found in result["figures"].items():
        body.append(f"<h2>{_words(name)}</h2>")
        body.append(_table(found, result["left_out"][name]))
        body.append(_pictures(name, subject, shown[name]))
        if "codes" in shown[name]:
            body.append("<h3>Codebook</h3>")
            body.append(
                _figure(
                    _codebook(shown[name]["codes"]),
                    "How often each code was used, the most used first; the "
                    "height is logarithmic.",
                )
            )
    body += _curves(result)
    page = (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>{title}</title><style>{_STYLE}</style></head>\n<body>\n"
        + "\n".join(body)
        + "\n</body></html>\n"
    )
    with atomic_path(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def _about(result: dict[str, Any]) -> str:
    rows = {
        "model": result["model"],
        "data": result["data"],
        "examples": result.get("examples", {}),
        "protocol": result["protocol"],
        "sampling defaults": result.get("sampling_defaults", {}),
        "extractors": result["extractors"],
        "versions": result["versions"],
    }
    cells = "".join(
        f"<tr><th>{name}</th><td>{_value(value)}</td></tr>"
        for name, value in rows.items()
    )
    return f"<table>{cells}</table>"


def _value(value: Any) -> str:
    """JSON values for people: `name value` by lines."""
    if isinstance(value, dict):
        return "<br>".join(
            f"{html.escape(str(k))}: {_inline(v)}" for k, v in value.items()
        )
    return _inline(value)


def _inline(value: Any) -> str:
    if isinstance(value, dict):
        value = ", ".join(f"{k}: {v}" for k, v in value.items())
    return html.escape(str(value))


def _words(name: str) -> str:
    return html.escape(name.replace("_", " ").capitalize())


def _table(found: dict[str, Any], missing: list[str]) -> str:
    rows = ["<tr><th>figure</th><th>value</th><th>spread</th><th>of</th></tr>"]
    for name, row in found.items():
        more = ", ".join(
            f"{k} {v}"
            for k, v in row.items()
            if k not in ("value", "spread", "count")
        )
        rows.append(
            f"<tr><td>{html.escape(name)}</td>"
            f'<td class="number">{row["value"]:.5g}</td>'
            f'<td class="number">± {row["spread"]:.2g}</td>'
            f"<td>{row['count']}{html.escape('; ' + more if more else '')}"
            "</td></tr>"
        )
    notes = "".join(f"<p>Left out: {html.escape(why)}</p>" for why in missing)
    if not found:
        return f"<p>There is no figure of it.</p>{notes}"
    return f"<table>{''.join(rows)}</table>{notes}"


def _pictures(name: str, subject: Subject, shown: dict[str, Any]) -> str:
    """A grid of examples, then the worst and the best."""
    indices, order = shown["indices"], shown["order"]
    spread = np.linspace(0, len(indices) - 1, min(_SHOWN, len(indices)))
    groups = {"Examples": np.unique(spread.astype(int))}
    # Without figures of each picture there is no worst and no best.
    if len(order) > 2 * _EXTREME and ("codes" in shown or len(shown) > 2):
        groups["Worst"] = order[:_EXTREME]
        groups["Best"] = order[::-1][:_EXTREME]
    drawing = _DRAWINGS[name]
    return "".join(
        f"<h3>{title}</h3>{drawing(subject, shown, places)}"
        for title, places in groups.items()
    )


def _reconstructions(
    subject: Subject, shown: dict[str, Any], places: np.ndarray
) -> str:
    rows = subject.examples.read(shown["indices"][places])
    made, _ = directions.reconstructed(subject, rows.images)
    error = np.abs(rows.images.astype("int16") - made)
    # Twice the error, so that small ones are seen.
    error = np.minimum(2 * error, 255).astype("uint8")
    triples = np.concatenate([rows.images, made, error], axis=2)
    return "".join(
        _figure(triple, f"{place}: original, reconstruction, error x 2")
        for place, triple in zip(rows.indices, triples, strict=True)
    )


def _drawn(subject: Subject, shown: dict[str, Any], places: np.ndarray) -> str:
    rows = subject.examples.read(shown["indices"][places])
    captions = [lines[0] for lines in rows.captions]
    made = directions.drawn(subject, captions, rows.indices)
    return "".join(
        _figure(
            np.concatenate([original, picture], axis=1),
            f"{index}: {caption} (original, drawn){_share(shown, place)}",
        )
        for index, original, picture, caption, place in zip(
            rows.indices, rows.images, made, captions, places, strict=True
        )
    )


def _written(
    subject: Subject, shown: dict[str, Any], places: np.ndarray
) -> str:
    rows = subject.examples.read(shown["indices"][places])
    return "".join(
        _figure(
            image,
            f"{index}, written: {shown['written'][place]} | reference: "
            f"{lines[0] if lines else '(none)'}{_share(shown, place)}",
        )
        for index, image, lines, place in zip(
            rows.indices, rows.images, rows.captions, places, strict=True
        )
    )


def _share(shown: dict[str, Any], place: int) -> str:
    if "shares" not in shown:
        return ""
    return f"; {100 * shown['shares'][place]:.0f}% right"


def _samples(
    subject: Subject, shown: dict[str, Any], places: np.ndarray
) -> str:
    rows = subject.samples.read(shown["indices"][places])
    return "".join(
        _figure(image, f"{index}: {' '.join(lines[:1])}")
        for index, image, lines in zip(
            rows.indices, rows.images, rows.captions, strict=True
        )
    )


_DRAWINGS = {
    **dict.fromkeys(SAMPLES, _samples),
    "reconstruction": _reconstructions,
    "text_to_image": _drawn,
    "image_to_text": _written,
}


def _codebook(counts: np.ndarray, width: int = 768, height: int = 96) -> Any:
    """Bars of the use of each code, in as many columns as there is room."""
    ordered = np.sort(counts)[::-1].astype("float64")
    edges = np.linspace(0, len(ordered), min(width, len(ordered)) + 1)
    bars = [
        ordered[int(a) : max(int(b), int(a) + 1)].mean()
        for a, b in zip(edges, edges[1:], strict=False)
    ]
    heights = np.log1p(bars) / np.log1p(ordered[0])
    filled = np.arange(height)[::-1, None] < height * heights
    picture = np.where(filled[..., None], (9, 105, 218), (246, 248, 250))
    return picture.astype("uint8").repeat(max(1, width // len(bars)), axis=1)


def _figure(image: np.ndarray, caption: str) -> str:
    return (
        f'<figure><img src="{_data(image)}" alt="{html.escape(caption)}">'
        f"<figcaption>{html.escape(caption)}</figcaption></figure>"
    )


def _data(image: np.ndarray) -> str:
    scale = max(1, _LEAST_SIDE // min(image.shape[:2]))
    image = image.repeat(scale, axis=0).repeat(scale, axis=1)
    stream = io.BytesIO()
    Image.fromarray(image.squeeze()).save(stream, format="PNG")
    return _png(stream.getvalue())


def _png(content: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(content).decode()


def _curves(result: dict[str, Any]) -> list[str]:
    """The curves that a training run left beside the model."""
    folder = pathlib.Path(result["model"]["path"])
    found = sorted(folder.parent.glob("*_curves.png"))
    if not folder.is_dir() or not found:
        return []
    return ["<h2>Training</h2>"] + [
        f'<figure><img src="{_png(path.read_bytes())}" alt="{path.stem}">'
        f"<figcaption>{html.escape(path.stem)}</figcaption></figure>"
        for path in found
    ]
