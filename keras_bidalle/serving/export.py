"""Writes a model as a versioned SavedModel folder for TensorFlow Serving.

Only TensorFlow writes SavedModels that a stock server runs: one that JAX
writes is a single operation of XLA, which such a server refuses. Weights
know no backend, so under another one the model is saved, and this module,
run as a program under TensorFlow, loads and exports it.
"""

import argparse
import io
import os
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
from PIL import Image

from keras_bidalle.backend.current import is_tensorflow
from keras_bidalle.files import as_path, atomic_folder, replaceable
from keras_bidalle.messages import one_line
from keras_bidalle.sampling.requests import check_captions

_MODULE = "keras_bidalle.serving.export"


# What an export writes into a version's folder.
_CONTENTS = (
    *("saved_model.pb", "fingerprint.pb", "variables", "assets"),
    *("assets.extra", "README.md"),
)


def export_serving(model, path, prompt=None, overwrite=False):
    """Exports a model for TensorFlow Serving: see `ServingMixin`."""
    folder = version_folder(path)
    replaceable(folder, _CONTENTS, overwrite)
    if hasattr(model, "caption_tokenizer"):
        check_captions(model.generator, "export_serving")
        prompt = checked_prompt(model.caption_tokenizer, prompt)
    if is_tensorflow() and not _is_distributed(model):
        _export(model, folder, prompt, overwrite)
    else:
        _export_by_tensorflow(model, folder, prompt, overwrite)
    return folder


def version_folder(path):
    """The folder that an export to `path` writes: `pathlib.Path`."""
    path = as_path("path", path)
    if path.name.isdecimal():
        return path
    names = [child.name for child in path.glob("*")]
    found = [int(name) for name in names if name.isdecimal()]
    return path / str(max(found, default=0) + 1)


def checked_prompt(tokenizer, prompt):
    """A caption that the tokenizer knows, by default its first word."""
    if prompt is not None:
        tokenizer.encode([prompt])
        return prompt
    known = []
    ids = np.arange(tokenizer.vocabulary_size)[:, None]
    for text in tokenizer.decode(ids):
        try:
            tokenizer.encode([text])
        except ValueError:
            continue  # No text, or a piece of a word.
        if text.isalpha():
            return text
        known.append(text)
    if known:
        return known[0]
    raise ValueError(
        "`caption_tokenizer` has no word that is a caption by itself: pass "
        "`prompt`, a caption for the warm-up requests."
    )


def _is_distributed(model):
    """Whether variables live on several devices, which no graph can save."""
    import tensorflow as tf

    return any(
        isinstance(v.value, tf.distribute.DistributedValues)
        for v in model.variables
    )


def _export(model, folder, prompt, overwrite):
    import tensorflow as tf

    from keras_bidalle.serving.card import serving_card
    from keras_bidalle.serving.signatures import (
        ModelSignatures,
        TokenizerSignatures,
        example_inputs,
        inputs_of,
    )
    from keras_bidalle.serving.warmup import write_examples, write_warmup

    kind = TokenizerSignatures if prompt is None else ModelSignatures
    made = kind(model)
    signatures = made.signatures()
    shape = getattr(model, "image_tokenizer", model).image_shape
    Image.new("RGB", shape[1::-1], "gray").save(file := io.BytesIO(), "PNG")
    requests = example_inputs(signatures, file.getvalue(), prompt)
    name = folder.absolute().parent.name
    with atomic_folder(folder, _CONTENTS, overwrite) as temporary:
        tf.saved_model.save(
            made.module,
            str(temporary),
            signatures={
                **signatures,
                # What clients call that name no signature.
                "serving_default": signatures[made.default],
            },
        )
        write_warmup(temporary, list(requests.items()), name)
        write_examples(temporary)
        described = {
            name: (inputs_of(function), function.structured_outputs)
            for name, function in signatures.items()
        }
        card = serving_card(model, described, folder, prompt)
        (temporary / "README.md").write_text(card, encoding="utf-8")


def _export_by_tensorflow(model, folder, prompt, overwrite):
    from keras_bidalle.presets import save_preset

    with tempfile.TemporaryDirectory() as scratch:
        preset = pathlib.Path(scratch) / "model"
        save_preset(model, preset)
        command = [sys.executable, "-m", _MODULE, str(preset)]
        command += [str(folder.absolute())]
        if prompt is not None:
            command += ["--prompt", prompt]
        if overwrite:
            command.append("--overwrite")
        done = subprocess.run(
            command,
            env={
                **os.environ,
                "KERAS_BACKEND": "tensorflow",
                "PYTHONPATH": os.pathsep.join(p for p in sys.path if p),
                # The accelerator is this process's; tracing needs none.
                "CUDA_VISIBLE_DEVICES": "-1",
                "TF_CPP_MIN_LOG_LEVEL": "2",
            },
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
    if done.returncode:
        # The last line of a traceback tells the error.
        told = done.stderr.strip().splitlines()[-1:] or ["nothing"]
        raise RuntimeError(
            one_line(f"Exporting under TensorFlow failed. Received: {told[0]}")
        )


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("preset")
    parser.add_argument("path")
    parser.add_argument("--prompt")
    parser.add_argument("--overwrite", action="store_true")
    options = parser.parse_args(arguments)
    from keras_bidalle.presets import load

    model = load(options.preset)
    export_serving(model, options.path, options.prompt, options.overwrite)


if __name__ == "__main__":
    main()
