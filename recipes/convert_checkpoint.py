r"""Turns a published checkpoint into a folder that `keras_bidalle.load` opens.

    python recipes/convert_checkpoint.py last.ckpt --config model.yaml \
        --output vqgan-f16

Known are VQGAN and Gumbel VQGAN (CompVis), TE-VQGAN, RQ-VAE, AugVAE, DALL-E's
discrete VAE (a folder with `encoder.pkl` and `decoder.pkl`), and the
generators of Bi-directional DALL-E, minDALL-E and RQ-Transformer (with
`--tokenizer` where its checkpoint leaves out the codebooks). Nothing in the
checkpoint is executed, and torch is not needed. The output folder appears
whole or not at all.
"""

import os
import pathlib
import sys

import command_line

# TensorFlow has nothing to say that matters here.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

CARD = """# {name}

A `{kind}` of keras_bidalle with {parameters:,} parameters, converted from
the published checkpoint `{checkpoint}`. What it was trained on, what it may
be used for and its licence are the checkpoint's.

```python
import keras_bidalle

{example}
```
"""
TOKENIZER_EXAMPLE = """\
tokenizer = keras_bidalle.load("{name}")
codes = tokenizer.encode(images)  # (B, {codes}) int32
images = tokenizer.decode(codes)  # float32 in [-1, 1]"""
GENERATOR_EXAMPLE = """\
generator = keras_bidalle.load("{name}")
rows = {{
    "text": text,  # (B, {text_length}) int32
    "codes": codes,  # (B, {codes}) int32
    "text_to_image": directions,  # (B,) bool
}}
logits = generator(rows)["image_logits"]"""


def parse(arguments):
    parser = command_line.make_parser(__doc__)
    parser.add_argument(
        "checkpoint",
        type=pathlib.Path,
        help="the published checkpoint (.ckpt, .pt or .pth), or a folder "
        "with one, or with encoder.pkl and decoder.pkl",
    )
    parser.add_argument(
        "--config",
        type=pathlib.Path,
        help="the configuration that was published with it, YAML or JSON "
        "(default: the one beside the checkpoint)",
    )
    parser.add_argument(
        "--tokenizer",
        help="of an RQ-Transformer whose checkpoint leaves out the codebooks: "
        "its RQ-VAE, a published checkpoint with its configuration beside it "
        "or a preset of ours",
    )
    parser.add_argument(
        "--output",
        type=pathlib.Path,
        required=True,
        help="the folder to write",
    )
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="replace the output folder if it exists (default: stop)",
    )
    return parser.parse_args(arguments)


def run(options):
    if options.output.exists() and not options.overwrite:
        raise ValueError(f"`{options.output}` exists; --overwrite replaces it.")

    # After parsing, so that --help is there at once.
    from keras_bidalle import converters

    model = converters.convert(
        options.checkpoint, options.config, options.tokenizer
    )
    card = CARD.format(
        name=options.output.name,
        kind=type(model).__name__,
        parameters=model.count_params(),
        checkpoint=options.checkpoint.name,
        example=_example(model, options.output.name),
    )
    model.save_to_preset(options.output, card=card)
    print(
        f"{options.output}: {type(model).__name__}, "
        f"{model.count_params():,} parameters, {model.num_codes} codes, "
        f"{model.code_shape} a picture"
    )


def _example(model, name):
    """How the model is used, in a few lines."""
    codes = ", ".join(str(side) for side in model.code_shape)
    if hasattr(model, "text_length"):
        return GENERATOR_EXAMPLE.format(
            name=name, codes=codes, text_length=model.text_length
        )
    return TOKENIZER_EXAMPLE.format(name=name, codes=codes)


main = command_line.program(run, parse, (OSError, TypeError, ValueError))

if __name__ == "__main__":
    sys.exit(main())
