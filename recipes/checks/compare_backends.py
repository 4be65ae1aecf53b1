"""Trains the same tokenizer and generator on three backends and compares.

Every backend starts from the same weights and sees the same images for 20
steps. Prints the losses as JSON and exits with an error when two backends
differ by more than the tolerance.

    python recipes/checks/compare_backends.py
"""

import argparse
import json
import os
import subprocess
import sys

import numpy as np

from keras_bidalle.tasks import mnist64

BACKENDS = ("tensorflow", "jax", "torch")


def train(steps):
    """Losses of `steps` steps of both stages on this process's backend."""
    import keras

    from keras_bidalle import generators, image_tokenizers
    from keras_bidalle.quantizers import OrthogonalVectorQuantizer

    rng = np.random.default_rng(0)
    # Strokes rather than digits: there is nothing to download.
    pictures = (rng.random((200, 7, 7)) > 0.6).astype("uint8") * 255
    pictures = np.kron(pictures, np.ones((1, 4, 4), "uint8"))
    labels = np.arange(200, dtype="int32") % 10
    items = mnist64.Items(
        "mnist", "strokes", pictures, labels, pictures, labels
    )
    task = mnist64.MNIST64(items, "train")
    tokenizer = image_tokenizers.PatchVQGAN(
        OrthogonalVectorQuantizer(32, 16), channels=16, hidden_channels=16
    )
    same_weights(tokenizer, rng)
    tokenizer.compile(keras.optimizers.Adam(1e-3))
    losses = {"tokenizer": [], "generator": []}
    for step in range(steps):
        images = task.sample(8, seed=step).images
        losses["tokenizer"].append(first(tokenizer.train_on_batch(images)))

    caption_tokenizer = mnist64.grammar_tokenizer(task.grammar)
    table = mnist64.CaptionTable(task.grammar, caption_tokenizer)
    generator = generators.PatchBidirectionalTransformer(
        text_vocabulary_size=caption_tokenizer.vocabulary_size,
        text_length=caption_tokenizer.max_length,
        num_codes=tokenizer.num_codes,
        code_shape=tokenizer.code_shape,
        width=32,
        depth=2,
        num_heads=2,
        rotary=True,
        patch_head_width=16,
    )
    same_weights(generator, rng)
    generator.compile(keras.optimizers.Adam(1e-3))
    for step in range(steps):
        sample = task.sample(8, seed=step)
        batch = {
            "text": table(sample.clauses, sample.phrases),
            # Codes of no tokenizer: two that differ in one code by rounding
            # would compare something else.
            "codes": rng.integers(0, 32, (8, 16, 16)).astype("int32"),
            "text_to_image": np.arange(8) < 5,
        }
        losses["generator"].append(first(generator.train_on_batch(batch)))
    return losses


def first(losses):
    return float(np.ravel(losses)[0])


def same_weights(model, rng):
    """Gives a model weights that do not depend on the backend."""
    weights = [np.array(w) for w in model.get_weights()]
    for w in weights:
        if w.ndim > 1:
            w[...] = rng.normal(0.0, max(w.shape[0], 1) ** -0.5, w.shape)
    model.set_weights(weights)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    add = parser.add_argument
    add("--steps", type=int, default=20, help="steps a stage")
    add("--tolerance", type=float, default=1e-3, help="largest relative gap")
    add("--here", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.here:
        print(json.dumps(train(options.steps)))
        return
    losses = {}
    for backend in BACKENDS:
        command = [sys.executable, __file__, "--here"]
        result = subprocess.run(
            [*command, "--steps", str(options.steps)],
            env={**os.environ, "KERAS_BACKEND": backend},
            stdout=subprocess.PIPE,
            check=True,
            text=True,
        )
        losses[backend] = json.loads(result.stdout.splitlines()[-1])
    gaps = {
        stage: max(
            abs(mine - other) / abs(other)
            for backend in BACKENDS
            for mine, other in zip(
                losses[backend][stage], losses["jax"][stage], strict=True
            )
        )
        for stage in ("tokenizer", "generator")
    }
    report = {"losses": losses, "largest_relative_gap": gaps}
    print(json.dumps(report, indent=1))
    if max(gaps.values()) > options.tolerance:
        sys.exit(f"backends differ by more than {options.tolerance}: {gaps}")


if __name__ == "__main__":
    main()
