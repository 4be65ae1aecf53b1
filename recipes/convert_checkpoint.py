r"""Turns a published model into a folder that `keras_bidalle.load` opens.

    python recipes/convert_checkpoint.py last.ckpt --config model.yaml \
        --output vqgan-f16
    python recipes/convert_checkpoint.py dalle.pt --tokenizer last.ckpt \
        --vocabulary bpe --output bidalle
    python recipes/convert_checkpoint.py vqgan-f16 \
        --output vqgan-f16.safetensors

Known are VQGAN and Gumbel VQGAN (CompVis), TE-VQGAN, RQ-VAE, AugVAE, DALL-E's
discrete VAE (a folder with `encoder.pkl` and `decoder.pkl`), both stages of
minDALL-E, Bi-directional DALL-E and RQ-Transformer, and the image tokenizers
of LlamaGen, Open-MAGVIT2 and IBQ: checkpoints of torch, safetensors, folders
and `.tar.gz` as they were published. With its image
tokenizer and the vocabulary of its captions, a generator becomes a model that
`generate.py` takes; without a vocabulary, as a generator of classes, it has the
image tokenizer that was published beside it as `tokenizer` in its folder. An
output that ends in `.safetensors` is the other way: a model of ours under the
published program's names. Nothing in a checkpoint is executed, and torch is
not needed. A checkpoint file with such an output becomes a safetensors file as
it is. The output appears whole or not at all.
"""

import argparse
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
MODEL_EXAMPLE = """\
model = keras_bidalle.load("{name}")
images = model.text_to_image(["a caption"])  # uint8
texts = model.image_to_text(images)"""
GENERATOR_EXAMPLE = """\
generator = keras_bidalle.load("{name}")
rows = {{
    "text": text,  # (B, {text_length}) int32
    "codes": codes,  # (B, {codes}) int32
    "text_to_image": directions,  # (B,) bool
}}
logits = generator(rows)["image_logits"]"""
# A generator's image tokenizer, in its preset's folder.
TOKENIZER = "tokenizer"
PAIR_EXAMPLE = """\
generator = keras_bidalle.load("{name}")
tokenizer = keras_bidalle.load("{name}/tokenizer")
text = [[{text}]]  # (B, {text_length}) int32: words, or a class
images = tokenizer.decode(generator.generate_codes(text))"""


def parse(arguments):
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "checkpoint",
        type=pathlib.Path,
        help="the published checkpoint (.ckpt, .pt, .pth, .safetensors, or "
        "the .index.json of several), or a folder or .tar.gz with one, or a "
        "folder with encoder.pkl and decoder.pkl",
    )
    parser.add_argument(
        "--config",
        type=pathlib.Path,
        help="the configuration that was published with it, YAML or JSON "
        "(default: the one beside the checkpoint, or the settings in it)",
    )
    parser.add_argument(
        "--tokenizer",
        help="a generator's image tokenizer, a published checkpoint with its "
        "configuration beside it or a preset of ours (default: the one beside "
        "the generator)",
    )
    parser.add_argument(
        "--vocabulary",
        nargs="+",
        type=pathlib.Path,
        help="of a generator's captions: a tokenizer.json, the vocabulary and "
        "the merges of a byte pair encoding, or a folder with them; the "
        "output is then the whole model",
    )
    parser.add_argument(
        "--ema",
        action="store_true",
        help="take the averaged copy of the weights (default: the weights)",
    )
    parser.add_argument(
        "--output",
        type=pathlib.Path,
        required=True,
        help="the folder to write, or a .safetensors file",
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
    import keras_bidalle
    from keras_bidalle import converters
    from keras_bidalle.files import atomic_folder

    if options.output.suffix == ".safetensors":
        if options.checkpoint.is_file():
            arrays = converters.read_state_dict(options.checkpoint, options.ema)
        else:
            model = keras_bidalle.load(str(options.checkpoint))
            arrays = converters.published_state_dict(model)
        converters.write_safetensors(arrays, options.output)
        print(f"{options.output}: {len(arrays)} arrays")
        return
    model, beside = converters.convert_with_tokenizer(
        options.checkpoint,
        options.config,
        options.tokenizer,
        options.vocabulary,
        options.ema,
    )
    name, checkpoint = options.output.name, options.checkpoint.name
    contents = () if beside is None else (TOKENIZER,)
    with atomic_folder(options.output, contents, options.overwrite) as folder:
        model.save_to_preset(folder, _card(model, name, checkpoint, beside))
        if beside is not None:
            card = _card(beside, f"{name}/{TOKENIZER}", checkpoint)
            beside.save_to_preset(folder / TOKENIZER, card)
    _tell(options.output, model)
    if beside is not None:
        _tell(options.output / TOKENIZER, beside)


def _card(model, name, checkpoint, beside=None):
    return CARD.format(
        name=name,
        kind=type(model).__name__,
        parameters=model.count_params(),
        checkpoint=checkpoint,
        example=_example(model, name, beside),
    )


def _tell(folder, model):
    tokenizer = getattr(model, "image_tokenizer", model)
    print(
        f"{folder}: {type(model).__name__}, "
        f"{model.count_params():,} parameters, {tokenizer.num_codes} codes, "
        f"{tokenizer.code_shape} a picture"
    )


def _example(model, name, beside):
    """How the model is used, in a few lines."""
    if hasattr(model, "image_tokenizer"):
        return MODEL_EXAMPLE.format(name=name)
    if beside is not None:
        text = ", ".join("0" * model.text_length)
        return PAIR_EXAMPLE.format(
            name=name, text=text, text_length=model.text_length
        )
    codes = ", ".join(str(side) for side in model.code_shape)
    if hasattr(model, "text_length"):
        return GENERATOR_EXAMPLE.format(
            name=name, codes=codes, text_length=model.text_length
        )
    return TOKENIZER_EXAMPLE.format(name=name, codes=codes)


main = command_line.program(run, parse, (OSError, TypeError, ValueError))

if __name__ == "__main__":
    sys.exit(main())
