"""The program of the emoji task, at its smallest, on made-up emoji."""

import json

import emoji_bidirectional
import numpy as np
import pytest
from made_emoji import make_emoji

import keras_bidalle
from keras_bidalle import image_tokenizers
from keras_bidalle.tasks.emoji import Recipe, load_emoji
from keras_bidalle.tasks.emoji import task as task_module

pytestmark = pytest.mark.any_backend

TINY = """--size smoke --precision float32 --name tiny
--set tokenizer.steps=4 --set tokenizer.batch_size=4
--set tokenizer.quantizer.num_codes=16 --set tokenizer.channels=56
--set tokenizer.hidden_channels=8 --set tokenizer.num_blocks=1
--set generator.steps=4 --set generator.batch_size=4
--set generator.text_length=40 --set generator.width=16
--set generator.depth=1 --set generator.head_dim=8
--set generator.patch_head_width=8 --set task.classifier_steps=4
--set task.evaluation_pictures=2""".split()


@pytest.fixture
def main(tmp_path, monkeypatch):
    monkeypatch.setattr(task_module, "SHOWN", 2)
    make_emoji(tmp_path / "emoji")

    def run(*options):
        return emoji_bidirectional.main(
            [
                *(*TINY, "--data-dir", str(tmp_path / "emoji")),
                *("--output", str(tmp_path / "runs"), *options),
            ]
        )

    return run


def test_a_run_leaves_a_model_its_figures_and_its_card(main, tmp_path, capsys):
    assert main() == 0
    assert "k-means of patches" in capsys.readouterr().out
    run = tmp_path / "runs" / "tiny"
    figures = json.loads((run / "metrics.json").read_text())
    for split in ("held_vendor", "held_combination"):
        assert 0 <= figures["tokenizer"][split]["psnr"] < 60
        report = figures[split]
        for reader in ("image_to_text", "nearest_picture", "text_to_image"):
            assert 0.0 <= report[reader]["concept"]["accuracy"] <= 1.0
        assert report["retrieval"]["caption"]["among"] == 18
        assert report["distance_to_training"]["real"] > 0
    tones = figures["held_combination"]["image_to_text"]["tone"]
    assert tones["count"] == 2 and "spread" in tones
    card = (run / "model" / "README.md").read_text()
    assert "drawn, read by the classifier" in card and "CC BY 4.0" in card
    assert "PSNR" in (run / "tokenizer" / "README.md").read_text()
    model = keras_bidalle.load(run / "model")
    images = model.text_to_image("Woman cook: dark skin tone, noto style")
    assert images.shape == (1, 64, 64, 3)
    assert len(model.image_to_text(images)) == 1

    # Training was of the decoder alone.
    pictures = load_emoji(tmp_path / "emoji")["train"].images
    tokenizer = keras_bidalle.load(run / "tokenizer")
    start = tokenizer.from_config(tokenizer.get_config())
    image_tokenizers.start_from_patches(start, pictures)
    assert np.array_equal(start.encode(pictures), tokenizer.encode(pictures))
    assert not np.array_equal(
        start.reconstruct(pictures[:2]), tokenizer.reconstruct(pictures[:2])
    )

    # It is not overwritten, and may be trained on.
    assert main() == 1
    assert "--resume" in capsys.readouterr().err
    more = ["--name", "more", "--start-from", str(run), "--set", "task.views=1"]
    assert main(*more, "--set", "generator.steps=2") == 0
    preset = ["--name", "preset", "--start-from", str(run / "model")]
    assert main(*preset, "--set", "generator.steps=2") == 0


def test_settings_are_checked(main, capsys):
    for text, told in (
        ("generator.wide=3", "wide"),
        ('tokenizer.frozen=["head"]', "`frozen` must be a list of encoder"),
        ("task.colour=1", "task.patch_start"),
        ("steps=3", "tokenizer.NAME"),
    ):
        assert main("--set", text) == 1
        assert told in capsys.readouterr().err
    with pytest.raises(ValueError, match="`size`"):
        Recipe.of_size("large")


def test_held_out_emoji_judge_both_stages_while_they_train(main, tmp_path):
    every = [
        f"--set={stage}.evaluate_every=1"
        for stage in ("tokenizer", "generator")
    ]
    assert main(*every) == 0
    run = tmp_path / "runs" / "tiny"
    for stage, figure in (("tokenizer", "val_psnr"), ("generator", "val_loss")):
        history = json.loads((run / f"{stage}_history.json").read_text())
        assert all(np.isfinite(row[figure]) for row in history)
