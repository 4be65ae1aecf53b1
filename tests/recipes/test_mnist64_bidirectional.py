"""The main program, at its smallest, on strokes instead of digits."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import keras

import keras_bidalle

RECIPES = pathlib.Path(__file__).parents[2] / "recipes"
TINY = """--preset smoke --tokenizer-steps 8 --generator-steps 8 --epochs 2
--classifier-steps 4 --train-pictures 40 --evaluation-pictures 1
--tokenizer-batch-size 8 --generator-batch-size 8 --channels 8 --num-codes 16
--code-dim 8 --width 16 --depth 1 --head-dim 8""".split()


def environment():
    # The recipes run against this checkout, installed or not.
    return {
        **os.environ,
        "KERAS_BACKEND": keras.config.backend(),
        "PYTHONPATH": str(RECIPES.parent),
    }


def start(digits, *options):
    return subprocess.Popen(
        [
            sys.executable,
            "-u",
            str(RECIPES / "mnist64_bidirectional.py"),
            *TINY,
            "--data-dir",
            str(digits),
            "--output",
            str(digits / "runs"),
            "--name",
            "tiny",
            *options,
        ],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(process):
    output = process.communicate()[0]
    assert process.returncode == 0, output[-3000:]
    return output


def test_a_run_leaves_all_that_people_look_at_even_after_kills(digits):
    run = digits / "runs" / "tiny"
    for there in ("classifier.keras", "tokenizer"):
        # Killed while what comes after `there` is under way.
        process = start(digits, *(["--resume"] if run.exists() else []))
        for _ in process.stdout:
            if (run / there).exists():
                break
        time.sleep(1.0)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert (run / there).exists()
    output = finish(start(digits, "--resume"))
    assert "done in" in output

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

    model = keras_bidalle.load(run / "model")
    images = model.text_to_image("red 3 on the upper left .", temperature=0.5)
    assert images.shape == (1, 64, 64, 3)
    assert len(model.image_to_text(images)) == 1
    tokenizer = keras_bidalle.load(run / "tokenizer")
    assert tokenizer.encode(images).shape == (1, 16, 16)


def test_a_finished_run_is_not_overwritten(digits):
    process = start(digits)
    output = process.communicate()[0]
    assert process.returncode != 0
    assert "--resume" in output.splitlines()[-1]


def test_a_missing_data_folder_is_one_clear_error(digits):
    nowhere = str(digits / "nowhere")
    process = start(digits, "--data-dir", nowhere, "--name", "other")
    output = process.communicate()[0]
    assert process.returncode != 0
    assert "nowhere" in output.splitlines()[-1]
    assert "Traceback" not in output


def test_the_published_configuration_runs_at_small_size(digits):
    options = """--preset paper --name published --tokenizer-steps 2
    --generator-steps 2 --channels 32 --tokenizer-batch-size 2 --gan-start 0
    --depth 2 --num-heads 2 --epochs 1""".split()
    assert "done in" in finish(start(digits, *options))


def test_help_explains_every_option():
    text = subprocess.run(
        [sys.executable, str(RECIPES / "mnist64_bidirectional.py"), "--help"],
        env=environment(),
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    ).stdout
    for option in ("--orthogonality", "--resume", "--data-dir", "--preset"):
        assert option in text
