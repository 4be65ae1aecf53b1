"""Model cards of a run: how it was trained and what was measured."""

from typing import Any

from keras_bidalle import quantizers
from keras_bidalle.backend.current import backend_name
from keras_bidalle.image_tokenizers import PatchVQGAN, SingleLevelAugVAE
from keras_bidalle.messages import markdown_table
from keras_bidalle.tasks.mnist64.grammar import LAYOUTS

SPLITS = {
    "unseen_instances": "unseen items",
    "unseen_combinations": "unseen combinations",
}
LICENSES = (
    "The weights are\nunder the Apache License 2.0; MNIST is under CC BY-SA "
    "3.0."
)


def tokenizer_kind(tokenizer: Any) -> tuple[str, str]:
    """What an image tokenizer is called, and how it is made."""
    if isinstance(tokenizer, SingleLevelAugVAE):
        return "single-level AugVAE", "made from a multi-level one"
    quantizer = tokenizer.quantizer
    local = isinstance(tokenizer, PatchVQGAN)
    encoder = "patch encoder" if local else "vqgan encoder"
    if isinstance(quantizer, quantizers.OrthogonalVectorQuantizer):
        weight = quantizer.orthogonality
        kind = "TE-VQGAN" if weight else "VQGAN"
        return kind, f"{encoder}, orthogonality {weight:g}"
    if isinstance(quantizer, quantizers.ResidualQuantizer):
        depth = tokenizer.code_shape[-1]
        return "RQ-VAE", f"{encoder}, {depth} codes a position"
    if isinstance(quantizer, quantizers.GumbelQuantizer):
        return "Gumbel VQGAN", f"{encoder}, Gumbel softmax"
    return "VQGAN", f"{encoder}, codebook of running means"


def cards(folder: Any, plan: Any, tokenizer: Any) -> dict[str, str]:
    """As `Task.cards`: from the preset's folder to Markdown."""
    figures = folder.read("metrics.json")
    trained = (
        f"on {plan.task.dataset} pictures made by the MNIST64 task (64x64, "
        "one to four colored items at five places), none of which uses a "
        f"test item, by `recipes/{plan.program}` (Keras on {backend_name()}, "
        f"{plan.policy}, seed {plan.seed})"
    )
    if "reading" not in figures["tokenizer"]:
        return {}  # of several levels, which no generator is trained on
    result = {"tokenizer": _tokenizer_card(plan, tokenizer, figures, trained)}
    if plan.generator is not None:
        result["model"] = _model_card(plan, figures, trained)
    return result


def _length(plan: Any, stage: str, rows: str) -> str:
    settings = getattr(plan, stage).training
    steps, batch = settings["steps"], settings["batch_size"]
    if steps is None:
        return f"{settings['epochs']} epochs in batches of {batch} {rows}"
    return f"{steps} steps of {batch} {rows}"


def _tokenizer_card(
    plan: Any, tokenizer: Any, figures: dict[str, Any], trained: str
) -> str:
    name, made = tokenizer_kind(tokenizer)
    measured = figures["tokenizer"]
    count = " x ".join(map(str, measured["code_shape"]))
    if isinstance(plan.tokenizer, str):
        how = f"Taken as it is from an earlier run; trained {trained}."
    else:
        length = _length(plan, "tokenizer", "pictures")
        how = f"Trained for {length}, {trained}."
    return f"""# {name} for 64x64 pictures of colored {plan.task.dataset} items

An image tokenizer: 64x64x3 pictures to {count} codes of
{tokenizer.num_codes} and back ({made}).

```python
tokenizer = keras_bidalle.load("path/to/this/folder")
codes = tokenizer.encode(images)  # uint8 or [-1, 1] to int32 codes
images = tokenizer.decode(codes)  # float32 (B, 64, 64, 3) in [-1, 1]
```

{how}

Measured on test items:

| figure | value |
|---|---|
| PSNR | {measured["psnr"]:.1f} dB |
| translation equivariance | {measured["translation_equivariance"]:.3f} |
| of the foreground | {measured["foreground_translation_equivariance"]:.3f} |
| codebook in use | {measured["codebook_usage"]:.0%} |
| perplexity of the codes | {measured["perplexity"]:.2f} |
| clauses a classifier reads in reconstructions | \
{measured["reading"]["accuracy"]:.1%} |

Made for that task: other pictures are out of its reach. {LICENSES}
"""


def _model_card(plan: Any, figures: dict[str, Any], trained: str) -> str:
    rows = []
    for direction in ("image_to_text", "text_to_image"):
        for split, name in SPLITS.items():
            report = figures[split][direction]
            overall = report["overall"]
            shares = [
                *(overall["accuracy"], overall["color_accuracy"]),
                overall["item_accuracy"],
                *(report[layout]["accuracy"] for layout in LAYOUTS),
            ]
            title = f"{direction.replace('_', ' ')}, {name}"
            rows.append([title, *(f"{share:.1%}" for share in shares)])
    columns = ["right", "color", "item", "center", "1", "2", "3", "4"]
    table = markdown_table(["direction, split", *columns], rows)
    sampling = ", ".join(f"{k} {v}" for k, v in figures["sampling"].items())
    pictures = figures["unseen_instances"]["text_to_image"]["pooled"]
    share = plan.generator.training["text_to_image_share"]
    length = _length(plan, "generator", "rows")
    going_on = ", on from an earlier run" if plan.start_generator else ""
    return f"""# Captions to pictures and back, on MNIST64

A `keras_bidalle.TextImageModel`: an image tokenizer and one autoregressive
transformer that generates in both directions.

```python
model = keras_bidalle.load("path/to/this/folder")
images = model.text_to_image(["red 3 on the upper left ."], seed=0)
texts = model.image_to_text(images)
```

The generator was trained for {length} ({share:.0%} text to image{going_on}),
{trained}.

Right clauses, {pictures["pictures"]} pictures a row (mean over the layouts;
place and color; place and item; then by layout), sampled with {sampling},
which calls take where they say nothing:

{table}

The judge of pictures reads {figures["classifier"]["accuracy"]:.1%} of real
test items. Made for that task: other words are refused, other pictures out
of its reach. {LICENSES}
"""
