"""The model card of an exported folder: what it takes, gives and refuses."""

import json

from keras_bidalle.sampling.settings import TEXT_TO_IMAGE
from keras_bidalle.serving import pictures, prompts
from keras_bidalle.serving.requests import INPUT_SETTINGS, MAX_ROWS
from keras_bidalle.version import __version__

_INPUTS = {
    "prompt": "a caption, UTF-8, at most "
    f"{prompts.MAX_BYTES} bytes and {{tokens}} tokens",
    "image_bytes": "a PNG or JPEG file of any size up to "
    f"{pictures.MAX_BYTES // 2**20} MiB and {pictures.MAX_PIXELS:,} pixels; "
    "the shorter side is scaled to fit {size}, the middle cut out",
    "codes": "codes in [0, {codes})",
}
_OUTPUTS = {
    "image_bytes": "PNG files of {size} pixels",
    "codes": "the codes of the pictures",
    "text": "captions",
}


def serving_card(model, signatures, folder, prompt):
    """The card as Markdown."""
    tokenizer = getattr(model, "image_tokenizer", model)
    height, width = tokenizer.image_shape[:2]
    values = {
        "size": f"{width}x{height}",
        "codes": tokenizer.num_codes,
        "tokens": prompt and model.caption_tokenizer.max_length - 2,
    }
    own = getattr(model, "sampling_defaults", {})
    settings = {
        key: f"{s.range}; {s.meaning}. {s.default_text(own)}".rstrip(". ")
        for key, s in INPUT_SETTINGS.items()
    }
    example = _example(prompt, own)
    name = folder.absolute().parent.name
    lines = [
        f"# {name}, version {folder.name}",
        "",
        f"A `{type(model).__name__}` of keras_bidalle {__version__} as a "
        "SavedModel for TensorFlow Serving: no XLA, no Python, no other "
        "operations than TensorFlow's own. From the folder above:",
        "",
        "```bash",
        f"tensorflow_model_server --rest_api_port=8501 --model_name={name} "
        f"--model_base_path=$PWD/{name}",
        f"curl -d '{example}' localhost:8501/v1/models/{name}:predict",
        f"python -m keras_bidalle.serving.check {name}  # verifies it",
        "```",
        "",
        "Every input and output has one entry a row, and a row's answer "
        "depends on that row alone, so a server may merge requests "
        f"(`--enable_batching`) up to {MAX_ROWS} rows (`max_batch_size`). More "
        f"rows, and more than {pictures.MAX_REQUEST_PIXELS:,} pixels of "
        "pictures in all, are refused. Every input must be given; a default "
        "below is what the library's own call takes. Over REST, "
        '`image_bytes` is `{"b64": "..."}`.',
        "",
    ]
    for signature, (inputs, outputs) in signatures.items():
        lines += [f"## {signature}", ""]
        for way, specs, texts in (
            ("in", inputs, {**_INPUTS, **settings}),
            ("out", outputs, _OUTPUTS),
        ):
            for key, spec in specs.items():
                shape = ", ".join(["B", *map(str, spec.shape[1:])])
                lines.append(
                    f"- {way}: `{key}`: {spec.dtype.name} [{shape}], "
                    f"{texts[key].format(**values)}."
                )
        lines.append("")
    lines += [
        "## Errors",
        "",
        "A request that is not as above is answered with an error that names "
        "the input, and changes nothing for the next. Where a server merges "
        "requests, those that were merged with a wrong one fail with it and "
        "are sent again by their callers.",
        "",
        "A call of a signature names it: `signature_name` in the request. "
        "Without, it is "
        f"`{'text_to_image' if prompt else 'encode_image'}`.",
    ]
    return "\n".join(lines) + "\n"


def _example(prompt, own):
    row, call = {"image_bytes": {"b64": "..."}}, {}
    if prompt is not None:
        row = {"prompt": prompt}
        for name, setting in INPUT_SETTINGS.items():
            value = setting.default(TEXT_TO_IMAGE, own)
            if setting.needs is None:
                row[name] = setting.examples[0] if value is None else value
            elif value is not None:
                row[name] = value
                call = {"signature_name": "text_to_image_guided"}
    # Within a shell's single quotes.
    return json.dumps({**call, "instances": [row]}).replace("'", "'\\''")
