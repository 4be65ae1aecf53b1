"""The main program, at its smallest, on strokes instead of digits."""

import json

import keras
import mnist64_bidirectional
import pytest

import keras_bidalle
from keras_bidalle import training
from keras_bidalle.programs.stage import run_length
from keras_bidalle.tasks import mnist64
from keras_bidalle.tasks.mnist64 import task as task_module

TINY = """--preset smoke --tokenizer-steps 8 --generator-steps 8 --epochs 2
--classifier-steps 4 --train-pictures 40 --evaluation-pictures 1
--tokenizer-batch-size 8 --generator-batch-size 8 --channels 8 --num-codes 16
--code-dim 8 --width 16 --depth 1 --head-dim 8 --precision float32""".split()


def main(digits, *options):
    return mnist64_bidirectional.main(
        [
            *(*TINY, "--data-dir", str(digits), "--name", "tiny"),
            *("--output", str(digits / "runs"), *options),
        ]
    )


class Killed(BaseException):
    """What no program catches."""


def killed_after(count, function):
    """A function that works `count` times."""
    left = [count]

    def some_times(*args, **kwargs):
        left[0] -= 1
        if left[0] < 0:
            raise Killed
        return function(*args, **kwargs)

    return some_times


def test_a_run_leaves_all_that_people_look_at_even_after_kills(
    digits, monkeypatch, capsys
):
    run = digits / "runs" / "tiny"
    for there, place, name, count in (
        # Of each stage the first report, after half of its steps.
        ("classifier.keras", training, "comparison_grid", 0),
        ("tokenizer", keras_bidalle.TextImageModel, "image_to_text", 0),
        ("model", task_module, "both_directions_report", 1),
    ):
        # Killed while what comes after `there` is under way.
        with monkeypatch.context() as patch:
            patch.setattr(
                place, name, killed_after(count, getattr(place, name))
            )
            with pytest.raises(Killed):
                main(digits, *(["--resume"] if run.exists() else []))
        assert (run / there).exists()
    assert main(digits, "--resume") == 0
    assert "done" in capsys.readouterr().out

    metrics = json.loads((run / "metrics.json").read_text())
    assert {
        "classifier",
        "tokenizer",
        "unseen_instances",
        "unseen_combinations",
    } <= metrics.keys()
    accuracy = metrics["unseen_combinations"]["text_to_image"]["overall"]
    assert 0.0 <= accuracy["accuracy"] <= 1.0
    for name in (
        "config.json",
        "reconstructions.png",
        "text_to_image.png",
        "image_to_text.png",
        "tokenizer_curves.png",
        "generator_curves.png",
    ):
        assert (run / name).stat().st_size > 0
    assert list(run.glob("events/*/*tfevents*"))
    for name, text in (("tokenizer", "TE-VQGAN"), ("model", "Right clauses")):
        card = (run / name / "README.md").read_text()
        assert text in card and "mnist64_bidirectional.py" in card

    model = keras_bidalle.load(run / "model")
    images = model.text_to_image("red 3 on the upper left .", temperature=0.5)
    assert images.shape == (1, 64, 64, 3)
    assert len(model.image_to_text(images)) == 1
    tokenizer = keras_bidalle.load(run / "tokenizer")
    assert tokenizer.encode(images).shape == (1, 16, 16)

    # It is not overwritten, and may be trained on.
    assert main(digits) == 1
    assert "--resume" in capsys.readouterr().err
    options = ["--name", "more", "--start-from", str(run)]
    assert main(digits, *options, "--generator-steps", "2") == 0
    card = (digits / "runs" / "more" / "model" / "README.md").read_text()
    assert "on from an earlier run" in card


@pytest.mark.skipif(
    keras.config.backend() != "torch",
    reason="compiling takes a minute; its models are tested on every backend",
)
def test_the_published_configuration_runs_at_small_size(digits):
    options = """--preset paper --name published --tokenizer-steps 2
    --generator-steps 2 --channels 32 --tokenizer-batch-size 2 --gan-start 0
    --depth 2 --num-heads 2 --epochs 1
    --generator-warmup-epochs null""".split()
    assert main(digits, *options) == 0


def test_the_published_configuration_is_the_named_one():
    options = mnist64_bidirectional.parse(["--preset", "paper"])
    recipe = mnist64.recipe_of(options)
    named = keras_bidalle.configurations.Configuration.find
    tokenizer = named("te-vqgan-mnist64", "tokenizer")
    tokenizer.change("quantizer.seed", 0)
    assert recipe.tokenizer == tokenizer
    generator = named("bidalle-mnist64", "generator")
    # The published vocabulary is of byte pairs, the task's of words.
    generator.arguments["text_vocabulary_size"] = recipe.generator.arguments[
        "text_vocabulary_size"
    ]
    generator.training["sampling"] = {"temperature": 1.0, "top_k": 25}
    assert recipe.generator == generator
    # 300,000 images in 40 and in 20 epochs.
    records = recipe.task["train_pictures"]
    assert run_length(recipe.tokenizer.training, records).steps == 62_500
    assert run_length(recipe.generator.training, records).steps == 30_000


@pytest.mark.parametrize(
    "options,message",
    [
        ("--data-dir nowhere", "nowhere"),
        ("--kl-weight 1", "'kl_weight' is neither"),
        ("--width wide", "`width` must be a positive integer"),
    ],
)
def test_wrong_options_are_one_clear_error(options, message, digits, capsys):
    assert main(digits, *options.split(), "--name", "other") == 1
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 1 and message in told[0]
    assert not (digits / "runs" / "other").exists()


def test_help_explains_every_option(capsys):
    with pytest.raises(SystemExit):
        mnist64_bidirectional.main(["--help"])
    text = " ".join(capsys.readouterr().out.split())
    for option in ("--orthogonality", "--resume", "--data-dir", "--preset"):
        assert option in text
    assert "smoke: 60, small: 4000" in text
    # What the classes' docstrings say.
    assert "orthogonality: float, lambda of the regularizer" in text
