"""Model cards of a run: how it was trained and what was measured."""

from keras_bidalle.files import atomic_path

SPLITS = {
    "unseen_instances": "unseen items",
    "unseen_combinations": "unseen combinations",
}


def tokenizer_kind(settings):
    """What a run's image tokenizer is called, and how it is made."""
    encoder = f"{settings.tokenizer} encoder"
    if settings.quantizer == "orthogonal":
        kind = "TE-VQGAN" if settings.orthogonality else "VQGAN"
        return kind, f"{encoder}, orthogonality {settings.orthogonality:g}"
    if settings.quantizer == "residual":
        return "RQ-VAE", f"{encoder}, {settings.code_depth} codes a position"
    if settings.quantizer == "gumbel":
        return "Gumbel VQGAN", f"{encoder}, Gumbel softmax"
    return "VQGAN", f"{encoder}, codebook of running means"


def write_cards(folder, settings, kind, program, precision, backend):
    """Writes `README.md` into a run's tokenizer and model folders.

    Args:
        folder: `keras_bidalle.training.RunFolder` of a finished run.
        settings: `Settings` of the run.
        kind: tuple of two str, as of `tokenizer_kind`.
        program: str, the file name of the program.
        precision: str, the dtype policy of training.
        backend: str.
    """
    figures = folder.read("metrics.json")
    trained = (
        f"on {settings.dataset} pictures made by the MNIST64 task (64x64, one "
        "to four coloured items at five places), none of which uses a test "
        f"item, by `recipes/{program}` (Keras on {backend}, "
        f"{precision}, seed {settings.seed})"
    )
    cards = {
        "tokenizer": tokenizer_card(
            settings, kind, figures["tokenizer"], trained
        )
    }
    if settings.stages == "both":
        cards["model"] = model_card(settings, figures, trained)
    for name, text in cards.items():
        with atomic_path(folder / name / "README.md") as temporary:
            temporary.write_text(text)


def tokenizer_card(settings, kind, figures, trained):
    name, made = kind
    count = " x ".join(map(str, figures["code_shape"]))
    return f"""# {name} for 64x64 pictures of coloured {settings.dataset} items

An image tokenizer: 64x64x3 pictures to {count} codes of
{settings.num_codes} and back ({made}).

```python
tokenizer = keras_bidalle.load("path/to/this/folder")
codes = tokenizer.encode(images)  # uint8 or [-1, 1] to int32 codes
images = tokenizer.decode(codes)  # float32 (B, 64, 64, 3) in [-1, 1]
```

Trained for {settings.tokenizer_steps} steps of
{settings.tokenizer_batch_size} pictures, {trained}.

Measured on test items:

| figure | value |
|---|---|
| PSNR | {figures["psnr"]:.1f} dB |
| translation equivariance | {figures["translation_equivariance"]:.3f} |
| of the foreground | {figures["foreground_translation_equivariance"]:.3f} |
| codebook in use | {figures["codebook_usage"]:.0%} |
| perplexity of the codes | {figures["perplexity"]:.2f} |
| clauses a classifier reads in reconstructions | \
{figures["reading"]["accuracy"]:.1%} |

Made for that task: other pictures are out of its reach. The weights are
under the Apache License 2.0; MNIST is under CC BY-SA 3.0.
"""


def model_card(settings, figures, trained):
    rows = []
    for direction in ("image_to_text", "text_to_image"):
        for split, name in SPLITS.items():
            report = figures[split][direction]
            layouts = [
                f"{report[layout]['accuracy']:.1%}"
                for layout in ("centre", "quad1", "quad2", "quad3", "quad4")
            ]
            overall = report["overall"]
            rows.append(
                f"| {direction.replace('_', ' ')}, {name} | "
                f"{overall['accuracy']:.1%} | "
                f"{overall['colour_accuracy']:.1%} | "
                f"{overall['item_accuracy']:.1%} | {' | '.join(layouts)} |"
            )
    sampling = ", ".join(f"{k} {v}" for k, v in figures["sampling"].items())
    pictures = figures["unseen_instances"]["text_to_image"]["pooled"]
    return f"""# Captions to pictures and back, on MNIST64

A `keras_bidalle.TextImageModel`: an image tokenizer and one autoregressive
transformer that generates in both directions.

```python
model = keras_bidalle.load("path/to/this/folder")
images = model.text_to_image(["red 3 on the upper left ."], seed=0)
texts = model.image_to_text(images)
```

The generator was trained for {settings.generator_steps} steps of
{settings.generator_batch_size} rows ({settings.text_to_image_share:.0%} \
text to image{", on from an earlier run" if settings.start_from else ""}), \
{trained}.

Right clauses, {pictures["pictures"]} pictures a row (mean over the layouts;
place and colour; place and item; then by layout), sampled with {sampling}:

| direction, split | right | colour | item | centre | 1 | 2 | 3 | 4 |
|---|---|---|---|---|---|---|---|---|
{chr(10).join(rows)}

The judge of pictures reads {figures["classifier"]["accuracy"]:.1%} of real
test items. Made for that task: other words are refused, other pictures out
of its reach. The weights are under the Apache License 2.0; MNIST is under
CC BY-SA 3.0.
"""
