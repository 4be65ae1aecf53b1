"""The other systems of the main task, at their smallest."""

import json

import keras
import mnist64_bidirectional
import mnist64_systems
import numpy as np
import pytest

from keras_bidalle import generators, programs, tasks
from keras_bidalle.programs.generator_stage import fitted
from keras_bidalle.programs.tokenizer_stage import TokenizerStage
from keras_bidalle.tasks import mnist64

pytestmark = pytest.mark.any_backend

SMALL = """--tokenizer-steps 4 --tokenizer-batch-size 4 --num-codes 16
--code-dim 8 --channels 8 --num-blocks 1""".split()


def recipe_of(name):
    options = mnist64_systems.SYSTEMS[name].options.split()
    return mnist64.recipe_of(
        mnist64_bidirectional.parse(["--preset", "smoke", *options, *SMALL])
    )


class Noise(tasks.Task):
    def __len__(self):
        return 4

    def tokenizer_batches(self, tokenizer, settings, seed):
        return None


@pytest.mark.parametrize(
    ("name", "code_shape"),
    [
        ("rq-vae-1", (8, 8, 1)),
        ("rq-vae-2", (8, 8, 2)),
        ("rq-vae-4", (8, 8, 4)),
        ("gumbel", (16, 16)),
    ],
)
def test_the_tokenizer_of_each_system_trains(name, code_shape, tmp_path):
    plan = programs.Plan(
        Noise(), tmp_path, recipe_of(name).tokenizer, precision="float32"
    )
    stage = TokenizerStage(plan)
    images = np.random.default_rng(0).uniform(-1, 1, (4, 64, 64, 3))
    history = stage.model.fit(
        images.astype("float32"),
        epochs=3,
        verbose=0,
        callbacks=stage.callbacks,
    ).history["reconstruction_loss"]
    assert len(stage.callbacks) == (2 if name == "gumbel" else 0)
    assert history[-1] < history[0]
    assert stage.model.code_shape == code_shape
    codes = np.asarray(stage.model.encode(images.astype("float32")))
    assert codes.shape == (4, *code_shape)
    assert 0 <= codes.min() and codes.max() < 16


def test_stacks_of_codes_go_to_an_rq_transformer():
    recipe = recipe_of("rq-vae-4")
    generator = fitted(recipe.generator, recipe.tokenizer.build()).build()
    assert isinstance(generator, generators.RQTransformer)
    assert tuple(generator.code_shape) == (8, 8, 4)


@pytest.mark.skipif(
    keras.config.backend() != "torch",
    reason="compiling takes a minute; AugVAE is tested on every backend",
)
def test_augvae_goes_from_several_levels_to_one_and_into_the_table(digits):
    output = digits / "systems"
    assert not mnist64_systems.main(
        [
            *("--systems", "augvae", "augvae-single", "--preset", "smoke"),
            *("--data-dir", str(digits), "--output", str(output)),
            *(*SMALL, "--epochs", "1", "--classifier-steps", "2"),
            *("--evaluation-pictures", "2", "--precision", "float32"),
        ]
    )
    figures = json.loads((output / "augvae" / "metrics.json").read_text())
    assert figures["tokenizer"]["psnr"] > 0
    single = output / "augvae-single"
    figures = json.loads((single / "metrics.json").read_text())
    assert figures["tokenizer"]["code_shape"] == [16, 16]
    table = (output / "systems.md").read_text().splitlines()
    assert len(table) == 5
    assert len({line.count("|") for line in table}) == 1
    before = f"{figures['tokenizer_before']['psnr']:.1f} dB"
    after = f"{figures['tokenizer']['psnr']:.1f} dB"
    assert before in table[3] and after in table[4]
    card = (single / "tokenizer" / "README.md").read_text()
    assert "AugVAE" in card
