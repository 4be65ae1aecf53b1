"""The main program, at its smallest, on strokes instead of digits."""

import gzip
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import keras
import numpy as np
import pytest

import keras_bidalle

RECIPES = pathlib.Path(__file__).parents[2] / "recipes"
TINY = """--preset smoke --tokenizer-steps 8 --generator-steps 8 --epochs 2
--classifier-steps 4 --train-pictures 40 --evaluation-pictures 1
--tokenizer-batch-size 8 --generator-batch-size 8 --channels 8 --num-codes 16
--code-dim 8 --width 16 --depth 1 --head-dim 8""".split()


def write_idx(folder):
    rng = np.random.default_rng(0)
    for part, count in (("train", 60), ("t10k", 40)):
        strokes = (rng.random((count, 7, 7)) > 0.6).astype(np.uint8) * 255
        images = strokes.repeat(4, axis=1).repeat(4, axis=2)
        labels = (np.arange(count) % 10).astype(np.uint8)
        for name, array in (("images", images), ("labels", labels)):
            header = (
                bytes([0, 0, 8, array.ndim])
                + np.array(array.shape, ">i4").tobytes()
            )
            path = folder / f"{part}-{name}-idx{array.ndim}-ubyte.gz"
            path.write_bytes(gzip.compress(header + array.tobytes()))


def environment():
    # The recipes run against this checkout, installed or not.
    return {
        **os.environ,
        "KERAS_BACKEND": keras.config.backend(),
        "PYTHONPATH": str(RECIPES.parent),
    }


def start(folder, *options):
    return subprocess.Popen(
        [
            sys.executable,
            "-u",
            str(RECIPES / "mnist64_bidirectional.py"),
            *TINY,
            "--data-dir",
            str(folder),
            "--output",
            str(folder / "runs"),
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


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mnist64")
    write_idx(folder)
    return folder


def test_a_run_leaves_all_that_people_look_at_even_after_kills(folder):
    run = folder / "runs" / "tiny"
    for there in ("classifier.keras", "tokenizer"):
        # Killed while what comes after `there` is under way.
        process = start(folder, *(["--resume"] if run.exists() else []))
        for _ in process.stdout:
            if (run / there).exists():
                break
        time.sleep(1.0)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert (run / there).exists()
    output = finish(start(folder, "--resume"))
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


def test_a_finished_run_is_not_overwritten(folder):
    process = start(folder)
    output = process.communicate()[0]
    assert process.returncode != 0
    assert "--resume" in output.splitlines()[-1]


def test_a_missing_data_folder_is_one_clear_error(folder):
    nowhere = str(folder / "nowhere")
    process = start(folder, "--data-dir", nowhere, "--name", "other")
    output = process.communicate()[0]
    assert process.returncode != 0
    assert "nowhere" in output.splitlines()[-1]
    assert "Traceback" not in output


def test_the_published_configuration_runs_at_small_size(folder):
    options = """--preset paper --name published --tokenizer-steps 2
    --generator-steps 2 --channels 32 --tokenizer-batch-size 2 --gan-start 0
    --depth 4 --num-heads 2""".split()
    assert "done in" in finish(start(folder, *options))


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
