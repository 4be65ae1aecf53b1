"""LPIPS, CLIP, reranking and TensorFlow Datasets, through the program."""

import io
import json
import types

import evaluate
import numpy as np
import pytest
from PIL import Image
from small_models import CAPTIONS, small_model

from keras_bidalle import data
from keras_bidalle.evaluation import directions, program
from keras_bidalle.evaluation.protocol import Protocol
from keras_bidalle.losses.perceptual import lpips_shapes


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "small"
    small_model("plain").save_to_preset(folder)
    return folder


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pairs")
    source = data.FakeImages(4, size=20)
    for i in range(4):
        Image.fromarray(source.read(i).image).save(folder / f"{i}.png")
        (folder / f"{i}.txt").write_text(CAPTIONS[i % 2])
    return folder


def figures(output, model, *more):
    line = [model, "--output", output, "--name", "run", "--extractors", *more]
    assert evaluate.main(list(map(str, line))) == 0
    result = json.loads((output / "run" / "evaluation.json").read_text())
    return result["figures"]


def test_lpips_is_a_figure_of_reconstructions(model, pairs, tmp_path):
    rng = np.random.default_rng(0)
    arrays = {
        name: np.abs(rng.normal(scale=0.02, size=shape)).astype("float32")
        for name, shape in lpips_shapes().items()
    }
    weights = tmp_path / "lpips.npz"
    np.savez(weights, **arrays)
    more = ("--images", pairs, "--lpips", weights)
    found = figures(tmp_path, model, *more)["reconstruction"]["lpips_vgg"]
    assert found["value"] > 0 and found["spread"] > 0 and found["count"] == 4


def test_clip_scores_and_chooses(model, pairs, tmp_path, monkeypatch):
    pytest.importorskip("keras_hub")
    from small_clip import small_clip

    clip = small_clip()
    monkeypatch.setattr(program.CLIP, "from_preset", lambda name: clip)
    more = ("--pairs", pairs, "--clip", "small")
    more += ("--directions", "text_to_image")
    one = figures(tmp_path / "one", model, *more)["text_to_image"]
    more += ("--best-of", "4", "--rank-by", "clip")
    best = figures(tmp_path / "best", model, *more)["text_to_image"]
    cosine = "cosine_clip_small"
    assert best[cosine]["value"] > one[cosine]["value"]
    assert best["clip_score_clip_small"]["count"] == 4


@pytest.mark.any_backend
def test_the_judge_ranks_candidates_by_their_own_caption():
    judge = types.SimpleNamespace(
        of_images=lambda images, indices: images[:, 0, 0, 0] * (indices + 1.0),
        shares=lambda right, indices: right / 2.0,
    )
    subject = directions.Subject(
        *(None, None, None, []),
        Protocol(best_of=3, rank_by="judge"),
        judge=judge,
    )
    scorer = directions._scorer(subject, np.asarray([4, 9]))
    images = np.ones((6, 1, 1, 1))
    # Three candidates of each, the first caption's first.
    np.testing.assert_array_equal(
        scorer(["a"] * 3 + ["b"] * 3, images), [2.5] * 3 + [5.0] * 3
    )


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--rank-by", "clip"], "--rank-by clip needs --best-of"),
        (["--rank-by", "judge", "--best-of", "2"], "and --task"),
        (["--rank-by", "classifier", "--best-of", "2"], "generator of class"),
        (["--clip", "no-such-preset"], "keras-hub"),
    ],
)
def test_what_cannot_rank_is_told(
    model, pairs, tmp_path, capsys, more, message
):
    line = [model, "--pairs", pairs, "--output", tmp_path, "--extractors"]
    assert evaluate.main([*map(str, line), *more]) == 1
    told = capsys.readouterr().err.strip()
    assert message in told and "\n" not in told
    assert not list(tmp_path.iterdir())


def test_tensorflow_datasets_are_read(model, tmp_path):
    tfds = pytest.importorskip("tensorflow_datasets")
    source, rows = data.FakeImages(4, size=20), []
    for i in range(4):
        file = io.BytesIO()
        Image.fromarray(source.read(i).image).save(file, "PNG")
        rows.append({"image": file.getvalue(), "text": CAPTIONS[i % 2]})
    tfds.dataset_builders.store_as_tfds_dataset(
        name="few",
        version="1.0.0",
        data_dir=tmp_path / "data",
        features=tfds.features.FeaturesDict(
            {"image": tfds.features.Image(), "text": tfds.features.Text()}
        ),
        split_datasets={"test": list(enumerate(rows))},
        disable_shuffling=True,
    )
    more = ("--tfds", "few", "--tfds-split", "test", "--count", "3")
    more += ("--tfds-captions", "text", "--data-dir", tmp_path / "data")
    found = figures(tmp_path, model, *more)
    assert set(found) == {"reconstruction", "text_to_image", "image_to_text"}
    assert found["reconstruction"]["psnr"]["count"] == 3
    assert found["image_to_text"]["bleu_1"]["count"] == 3
