"""The other systems of the main task, at their smallest."""

import json
import os
import pathlib
import subprocess
import sys

import keras
import mnist64_systems
import numpy as np
import pytest
from mnist64_models import (
    build_generator,
    build_tokenizer,
    compile_tokenizer,
    cooling,
)
from mnist64_settings import parse

from keras_bidalle.tasks import mnist64

RECIPES = pathlib.Path(__file__).parents[2] / "recipes"
SMALL = """--tokenizer-steps 4 --tokenizer-batch-size 4 --num-codes 16
--code-dim 8 --channels 8 --num-blocks 1""".split()


def settings_of(name):
    options = mnist64_systems.SYSTEMS[name].options
    return parse(["--preset", "smoke", *options, *SMALL])[0]


@pytest.mark.parametrize(
    ("name", "code_shape"),
    [
        ("rq-vae-1", (8, 8, 1)),
        ("rq-vae-2", (8, 8, 2)),
        ("rq-vae-4", (8, 8, 4)),
        ("gumbel", (16, 16)),
    ],
)
def test_the_tokenizer_of_each_system_trains(name, code_shape):
    settings = settings_of(name)
    tokenizer = build_tokenizer(settings)
    compile_tokenizer(tokenizer, settings)
    images = np.random.default_rng(0).uniform(-1, 1, (4, 64, 64, 3))
    history = tokenizer.fit(
        images.astype("float32"),
        epochs=3,
        verbose=0,
        callbacks=cooling(settings, tokenizer),
    ).history["reconstruction_loss"]
    assert history[-1] < history[0]
    assert tokenizer.code_shape == code_shape
    codes = np.asarray(tokenizer.encode(images.astype("float32")))
    assert codes.shape == (4, *code_shape)
    assert 0 <= codes.min() and codes.max() < 16


def test_stacks_of_codes_go_to_an_rq_transformer(digits):
    settings = settings_of("rq-vae-4")
    items = mnist64.load_items("mnist", digits)
    grammar = mnist64.MNIST64(items).grammar
    generator = build_generator(
        settings, mnist64.grammar_tokenizer(grammar), build_tokenizer(settings)
    )
    assert type(generator).__name__ == "RQTransformer"
    assert tuple(generator.code_shape) == (8, 8, 4)


def test_augvae_goes_from_several_levels_to_one_and_into_the_table(digits):
    output = digits / "runs"
    finished = subprocess.run(
        [
            *(sys.executable, str(RECIPES / "mnist64_systems.py")),
            *("--systems", "augvae", "--preset", "smoke"),
            *("--data-dir", str(digits), "--output", str(output)),
            *(*SMALL, "--epochs", "1", "--classifier-steps", "2"),
            *("--evaluation-pictures", "2"),
        ],
        env={
            **os.environ,
            "KERAS_BACKEND": keras.config.backend(),
            "PYTHONPATH": str(RECIPES.parent),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert finished.returncode == 0, finished.stdout[-3000:]
    figures = json.loads((output / "augvae" / "metrics.json").read_text())
    assert figures["single_level_before"]["psnr"] > 0
    assert figures["tokenizer"]["code_shape"] == [16, 16]
    table = (output / "systems.md").read_text().splitlines()
    assert len(table) == 5
    assert len({line.count("|") for line in table}) == 1
    before = f"{figures['single_level_before']['psnr']:.1f} dB"
    after = f"{figures['tokenizer']['psnr']:.1f} dB"
    assert before in table[3] and after in table[4]
    card = (output / "augvae" / "tokenizer" / "README.md").read_text()
    assert "AugVAE" in card and "mnist64_augvae.py" in card
