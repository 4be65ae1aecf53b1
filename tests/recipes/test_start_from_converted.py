"""A converted checkpoint is what the training programs start from."""

import convert_checkpoint
import keras
import numpy as np
import pytest
import train_generator
import train_tokenizer
from PIL import Image

import keras_bidalle
from keras_bidalle.programs import generator_stage
from keras_bidalle.programs.carrying_over import carry_over_generator
from keras_bidalle.programs.starting import tokenizer_beside


@pytest.fixture(scope="module")
def folder(tmp_path_factory, golden_dir):
    """Converted checkpoints, and pictures in folders of their classes."""
    folder = tmp_path_factory.mktemp("converted")

    def convert(name, case, *more):
        arguments = [golden_dir / case, "--output", folder / name, *more]
        assert not convert_checkpoint.main(list(map(str, arguments)))

    convert("vqgan", "te_vqgan/maxpool_zero")
    convert("rq_vae", "rq_vae/shared")
    codebooks = "--tokenizer", golden_dir / "rq_vae/shared"
    convert("rq_transformer", "rq_transformer/shared_class", *codebooks)
    rng = np.random.default_rng(0)
    for i in range(4):
        place = folder / "photos" / ("cats", "dogs")[i % 2]
        place.mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 256, (40, 40, 3), "uint8")
        Image.fromarray(pixels).save(place / f"{i}.png")
    return folder


@pytest.fixture(autouse=True)
def uncompiled(monkeypatch):
    """To compile takes a minute."""
    monkeypatch.setattr(generator_stage, "compiled_step", lambda wanted: False)


def train(program, folder, configuration, name, *more):
    line = f"""{configuration} --images {folder}/photos --output {folder}/runs
    --name {name} --precision float32 --unmeasured --set steps=1
    --set batch_size=2 --set learning_rate=1e-30"""
    return program.main([*line.split(), *map(str, more)])


def assert_same_kernels(before, after, least):
    """The matrices of two models, in their order: at least so many."""
    kernels = [
        [
            keras.ops.convert_to_numpy(weight)
            for weight in keras_bidalle.load(path).weights
            if weight.path.endswith("kernel")
        ]
        for path in (before, after)
    ]
    assert len(kernels[0]) >= least
    for one, other in zip(*kernels, strict=True):
        # A step of a rate of 1e-30 moves what is 0.
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-20)


def test_a_tokenizer_of_its_own_sizes(folder, capsys):
    start = folder / "vqgan"
    more = "--start-from", start, "--set", "adversarial_weight=0"
    own = start / "config.json"
    assert train(train_tokenizer, folder, own, "vq", *more) == 0
    assert "vqgan: carried over 1" in capsys.readouterr().out
    assert_same_kernels(start, folder / "runs/vq/tokenizer", 20)


def test_a_generator_of_classes_to_other_classes(folder, capsys):
    start = folder / "rq_transformer"
    more = "--start-from", start, "--tokenizer", folder / "rq_vae"
    # The configuration has 11 classes, the pictures 2.
    own = start / "config.json"
    assert train(train_generator, folder, own, "rq", *more) == 0
    told = capsys.readouterr().out
    assert "rq_transformer: carried over" in told
    assert_same_kernels(start, folder / "runs/rq/model", 8)


def test_what_does_not_fit_is_refused_before_anything_is_written(
    folder, golden_dir, capsys
):
    def refused(message, program, configuration, *more):
        more = (*more, "--set", "steps=1")
        assert train(program, folder, configuration, "refused", *more) == 1
        error = capsys.readouterr().err.strip()
        assert message in error and "\n" not in error and len(error) <= 310
        assert not (folder / "runs/refused").exists()

    published = golden_dir / "te_vqgan/maxpool_zero"
    for path in (published, published / "last.ckpt"):
        refused(
            "becomes one by recipes/convert_checkpoint.py",
            *(train_tokenizer, folder / "vqgan/config.json"),
            *("--start-from", path),
        )
    refused(
        "`--start-from` must hold a tokenizer of the same class, VQGAN",
        *(train_tokenizer, folder / "vqgan/config.json"),
        *("--start-from", folder / "rq_vae"),
    )
    refused(
        "a generator of the same width, 64. Received",
        *(train_generator, folder / "rq_transformer/config.json"),
        *("--start-from", folder / "rq_transformer", "--set", "width=64"),
        *("--tokenizer", folder / "rq_vae"),
    )


def test_codes_of_another_tokenizer_are_new(folder):
    earlier = keras_bidalle.load(folder / "rq_transformer")
    known = keras_bidalle.load(folder / "rq_vae")
    assert tokenizer_beside(folder / "rq_transformer") is None
    known.save_to_preset(folder / "rq_transformer" / "tokenizer")
    beside = tokenizer_beside(folder / "rq_transformer")
    other = type(known).from_config(known.get_config())
    for own, told in ((known, False), (other, True)):
        new = type(earlier).from_config(earlier.get_config())
        line = carry_over_generator(earlier, new, own, None, beside)
        assert ("the codes are those of another tokenizer" in line) == told
