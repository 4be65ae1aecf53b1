"""Captions are drawn and images read, by what a program trained."""

import json

import generate
import numpy as np
import pytest
from trained import png

import keras_bidalle
from keras_bidalle import data

pytestmark = pytest.mark.any_backend


def test_captions_are_drawn_each_with_its_own_seed(runs, pictures, tmp_path):
    model = str(runs / "generator" / "model")
    captions = pictures[1].captions[:2]
    first, second = tmp_path / "first", tmp_path / "second"
    arguments = [model, "--samples", "2", "--seed", "5"]
    assert not generate.main(
        [*arguments, "--captions", *captions, "--output", str(first)]
    )
    names = {"000-0.png", "000-1.png", "001-0.png", "001-1.png", "grid.png"}
    assert {path.name for path in first.iterdir()} == names
    # Caption 1 alone, with its seed.
    file = tmp_path / "captions.txt"
    file.write_text(captions[1] + "\n\n")
    arguments = [model, "--samples", "2", "--seed", "6"]
    assert not generate.main(
        [*arguments, "--captions-file", str(file), "--output", str(second)]
    )
    for sample in range(2):
        np.testing.assert_array_equal(
            png(first / f"001-{sample}.png"), png(second / f"000-{sample}.png")
        )


def test_the_scorer_chooses_among_candidates(
    runs, pictures, tmp_path, monkeypatch
):
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "scorers.py").write_text(
        "def bright(captions, images):\n"
        "    return images.mean(axis=(1, 2, 3))\n"
    )
    model = str(runs / "generator" / "model")
    caption = pictures[1].captions[0]
    common = [model, "--captions", caption, "--seed", "3"]
    every, best = tmp_path / "every", tmp_path / "best"
    generate.main([*common, "--samples", "4", "--output", str(every)])
    status = generate.main(
        [
            *common,
            *("--best-of", "4", "--samples", "2"),
            *("--scorer", "scorers:bright", "--output", str(best)),
        ]
    )
    assert status == 0
    scores = sorted(png(every / f"000-{i}.png").mean() for i in range(4))
    kept = [png(best / f"000-{i}.png").mean() for i in range(2)]
    np.testing.assert_allclose(kept, scores[:-3:-1])
    # Without a scorer the model chooses itself.
    generate.main([*common, "--best-of", "4", "--output", str(best)])
    (chosen,) = keras_bidalle.load(model).text_to_image(
        [caption], seed=3, best_of=4
    )
    np.testing.assert_array_equal(png(best / "000-0.png"), chosen)


def test_pictures_are_read_and_unknown_words_told(
    runs, pictures, tmp_path, capsys
):
    folder, batch = pictures
    model = str(runs / "generator" / "model")
    status = generate.main(
        [
            *(model, "--pictures", str(folder), "--output", str(tmp_path)),
            *("--captions", "the cat €", batch.captions[0], ""),
        ]
    )
    captured = capsys.readouterr()
    told = captured.err.splitlines()
    assert status == 1 and len(told) == 3
    assert "€" in told[0] and "empty" in told[1] and "broken" in told[2]
    assert (tmp_path / "001-0.png").is_file()
    assert not (tmp_path / "000-0.png").exists()
    texts = json.loads((tmp_path / "captions.json").read_text())
    expected = keras_bidalle.load(model).image_to_text(
        np.stack([data.CenterCrop(32)(data.open_image(folder / "7.png"))])
    )
    assert texts[str(folder / "7.png")] == expected


@pytest.mark.parametrize(
    "options,message",
    [
        (["--best-of", "2", "--scorer", "nothing:here"], "module:function"),
        (["--top-p", "3"], "top_p"),
    ],
)
def test_settings_that_cannot_be_are_one_error(
    options, message, runs, pictures, tmp_path, capsys
):
    model, caption = str(runs / "generator" / "model"), pictures[1].captions[0]
    arguments = [model, "--captions", caption, "--output", str(tmp_path)]
    assert generate.main([*arguments, *options]) == 1
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 1 and message in told[0]
