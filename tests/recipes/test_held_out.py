"""Runs that are judged while they train, by what they are not trained on."""

import json

import numpy as np
import pytest
import train_generator
import train_tokenizer

import keras_bidalle

pytestmark = pytest.mark.any_backend


def command(output, *more):
    return (
        "te-vqgan-mnist64 --tiny --fake-data --precision float32 "
        f"--output {output} --set steps=4 --set reports=4 --set batch_size=4 "
        "--set adversarial_weight=0"
    ).split() + list(more)


def test_a_tokenizer_is_judged_while_it_trains_and_the_best_stays(
    tmp_path, capsys
):
    held_out = ("--held-out", "0.05", "--evaluate-every", "2")
    # The loss of the last report is not the best one at this rate.
    judged = (*held_out, "--set", "keep_best=psnr")
    assert train_tokenizer.main(command(tmp_path, *judged)) == 0
    folder = tmp_path / "te-vqgan-mnist64"
    metrics = json.loads((folder / "metrics.json").read_text())
    last = metrics["tokenizer_training"]
    assert np.isfinite(last["val_loss"]) and np.isfinite(last["val_psnr"])
    best = metrics["tokenizer_best"]
    assert best["report"] in (1, 3)
    assert best["val_psnr"] >= last["val_psnr"]
    assert "val_psnr was best after report" in capsys.readouterr().out
    keras_bidalle.load(folder / "tokenizer")
    assert train_tokenizer.main(command(tmp_path, *judged, "--resume")) == 0
    assert "done already" in capsys.readouterr().out


def test_images_of_another_folder_are_held_out(tmp_path, pictures, capsys):
    folder, _ = pictures
    options = ("--val-images", str(folder), "--set", "patience=1")
    # Nothing gets better at such a rate: two figures, and the end.
    options += ("--set", "learning_rate=0.0", "--set", "reports=4")
    assert train_tokenizer.main(command(tmp_path / "runs", *options)) == 0
    written = tmp_path / "runs" / "te-vqgan-mnist64" / "metrics.json"
    metrics = json.loads(written.read_text())
    assert metrics["tokenizer_training"]["step"] == 2
    assert metrics["tokenizer_best"]["report"] == 0
    capsys.readouterr()
    # More patience makes it longer, with as many steps as before.
    options += ("--set", "patience=2", "--resume")
    assert train_tokenizer.main(command(tmp_path / "runs", *options)) == 0
    metrics = json.loads(written.read_text())
    assert metrics["tokenizer_training"]["step"] == 3
    # With as little as then it stays as it is, and says why.
    options += ("--set", "steps=8")
    assert train_tokenizer.main(command(tmp_path / "runs", *options)) == 0
    assert "`patience` had ended it at step 3" in capsys.readouterr().out


def test_a_generator_is_judged_while_it_trains(tmp_path):
    assert train_tokenizer.main(command(tmp_path)) == 0
    tokenizer = tmp_path / "te-vqgan-mnist64" / "tokenizer"
    options = (
        f"bidalle-mnist64 --tiny --fake-data --precision float32 "
        f"--output {tmp_path} --tokenizer {tokenizer} --held-out 0.1 "
        "--set steps=4 --set reports=2 --set batch_size=4 "
        "--set keep_best=image_loss"
    ).split()
    assert train_generator.main(options) == 0
    folder = tmp_path / "bidalle-mnist64"
    metrics = json.loads((folder / "metrics.json").read_text())
    assert np.isfinite(metrics["generator_training"]["val_loss"])
    assert np.isfinite(metrics["generator_best"]["val_image_loss"])
    assert len(list(folder.glob("held_out_*_codes.npz"))) == 1
    # The words are those of the images that are trained on.
    captions = json.loads((folder / "captions.json").read_text())
    assert len(captions) == round(0.9 * 256)
    keras_bidalle.load(folder / "model")


@pytest.mark.parametrize(
    "options,message",
    [
        (["--set", "keep_best=loss"], "`keep_best` needs held-out data"),
        (["--evaluate-every", "2"], "`evaluate_every` needs held-out data"),
        (["--held-out", "1.5"], "`share` must be"),
        (["--held-out", ".1", "--set", "patience=0"], "patience"),
        (["--val-images", "no-such-folder"], "no-such-folder"),
    ],
)
def test_what_cannot_be_is_told_before_anything(
    options, message, tmp_path, capsys
):
    assert train_tokenizer.main(command(tmp_path / "runs", *options)) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


def judged(folder, stage):
    metrics = json.loads((folder / "metrics.json").read_text())
    return metrics[f"{stage}_training"], metrics[f"{stage}_best"]


def test_distances_and_captions_are_measured_while_it_trains(tmp_path):
    """Named extractors, figures of captions, and the best of them kept."""
    first = command(
        tmp_path, "--held-out", "0.05", "--name", "first", "--set", "reports=1"
    )
    assert train_tokenizer.main(first) == 0
    tokenizer = tmp_path / "first" / "tokenizer"
    extractors = f'extractors=["tokenizer:{tokenizer}"]'
    options = ("--held-out", "0.05", "--set", extractors, "--set")
    keep = "keep_best=kernel_tokenizer_encoder"
    options = (*options, keep, "--set", "judged_images=5")
    assert train_tokenizer.main(command(tmp_path, *options)) == 0
    last, best = judged(tmp_path / "te-vqgan-mnist64", "tokenizer")
    # A tokenizer like the extractor, on images that are compared to theirs.
    assert last["val_frechet_tokenizer_encoder"] > 0
    assert (
        best["val_kernel_tokenizer_encoder"]
        <= last["val_kernel_tokenizer_encoder"]
    )
    options = (
        f"bidalle-mnist64 --tiny --fake-data --precision float32 "
        f"--output {tmp_path} --tokenizer {tokenizer} --held-out 0.05 "
        "--set steps=2 --set reports=2 --set batch_size=4 "
        f"--set {extractors} --set caption_figures=true "
        "--set keep_best=rouge_l --set judged_images=3"
    ).split()
    assert train_generator.main(options) == 0
    folder = tmp_path / "bidalle-mnist64"
    last, best = judged(folder, "generator")
    for name in ("bleu_4", "cider_d", "exact_match", "rouge_l"):
        assert last[f"val_{name}"] >= 0
    assert np.isfinite(last["val_frechet_tokenizer_encoder"])
    assert best["val_rouge_l"] >= last["val_rouge_l"]
    written = b"".join(
        path.read_bytes() for path in (folder / "events").rglob("*tfevents*")
    )
    assert b"validation/frechet_tokenizer_encoder" in written
    assert b"validation/cider_d" in written


@pytest.mark.parametrize(
    "setting,message",
    [
        ("extractors=fid", "a list of names"),
        ("judged_images=1", "at least 2"),
        ('extractors=["none"]', "must be of"),
        ('extractors=["fid"]', "--fid-weights"),
    ],
)
def test_figures_that_cannot_be_made_are_told(
    tmp_path, capsys, setting, message
):
    line = command(tmp_path, "--held-out", "0.1", "--set", setting)
    assert train_tokenizer.main(line) == 1
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
