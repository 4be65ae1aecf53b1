"""The program of evaluation, on small models and folders."""

import json
import tarfile

import evaluate
import numpy as np
import pytest
from PIL import Image
from small_models import small_model

from keras_bidalle import data
from keras_bidalle.evaluation import parts

pytestmark = pytest.mark.any_backend


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "small"
    small_model("plain").save_to_preset(folder)
    return folder


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """Pictures of other sizes with captions, and one that is damaged."""
    folder = tmp_path_factory.mktemp("pairs")
    source = data.FakeImages(7, size=20)
    texts = ["red 3 on the upper left .", "the number is green 7 ."]
    for i in range(7):
        Image.fromarray(source.read(i).image).save(folder / f"{i}.png")
        (folder / f"{i}.txt").write_text(f"{texts[i % 2]}\n{texts[1]}\n")
    (folder / "bad.png").write_bytes(b"\x89PNG and no more")
    (folder / "bad.txt").write_text(texts[0])
    return folder


def line(model, output, *more):
    return [
        *(str(model), "--output", str(output), "--name", "run"),
        *("--extractors", "tokenizer", "--replicates", "2"),
        *map(str, more),
    ]


def result_in(output):
    return json.loads((output / "run" / "evaluation.json").read_text())


@pytest.fixture(scope="module")
def evaluated(model, pairs, tmp_path_factory):
    output = tmp_path_factory.mktemp("evaluated")
    assert not evaluate.main(line(model, output, "--pairs", pairs))
    return output


def test_every_direction_has_figures_with_spread(evaluated):
    result = result_in(evaluated)
    figures = result["figures"]
    assert {
        *("psnr", "ssim", "frechet_tokenizer_encoder", "codebook_usage"),
        *("kernel_tokenizer_encoder", "perplexity"),
    } <= set(figures["reconstruction"])
    assert "precision_tokenizer_encoder" in figures["text_to_image"]
    assert {"bleu_4", "cider_d", "rouge_l", "exact_match"} <= set(
        figures["image_to_text"]
    )
    rows = [row for each in figures.values() for row in each.values()]
    assert all({"value", "spread", "count"} <= set(row) for row in rows)
    assert np.isfinite([row["value"] for row in rows]).all()
    assert result["examples"] == {"asked": 8, "read": 7, "skipped": 1}
    assert result["extractors"]["tokenizer_encoder"]["resize"] == "clean"


def test_the_report_needs_no_other_file(evaluated):
    page = (evaluated / "run" / "report.html").read_text()
    assert page.count("data:image/png;base64,") > 20
    assert "frechet_tokenizer_encoder" in page and "Codebook" in page
    for outside in ("http:", "https:", 'src="/', "<script", "<link"):
        assert outside not in page


def test_a_killed_evaluation_ends_with_the_same_figures(
    evaluated, model, pairs, tmp_path, monkeypatch
):
    arguments = line(model, tmp_path, "--pairs", pairs)
    original = parts.Parts.complete
    done = []

    def killed(self, measure, progress):
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(self)
        original(self, measure, progress)

    with monkeypatch.context() as context:
        context.setattr(parts.Parts, "complete", killed)
        with pytest.raises(KeyboardInterrupt):
            evaluate.main(arguments)
    assert not (tmp_path / "run" / "evaluation.json").exists()
    # A part that a kill left damaged is made anew.
    (cut, *_) = sorted((tmp_path / "run" / "parts").glob("*/00000.npz"))
    cut.write_bytes(cut.read_bytes()[:100])
    assert not evaluate.main([*arguments, "--resume"])
    assert result_in(tmp_path) == result_in(evaluated)


def test_a_run_is_not_overwritten_nor_mixed(evaluated, model, pairs, capsys):
    arguments = line(model, evaluated, "--pairs", pairs)
    assert evaluate.main(arguments) == 1
    assert "holds a run already" in capsys.readouterr().err
    assert evaluate.main([*arguments, "--resume", "--seed", "1"]) == 1
    assert "other settings" in capsys.readouterr().err


def test_a_tar_file_without_captions_is_reconstructed(model, pairs, tmp_path):
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for path in sorted(pairs.glob("[0-9].png")):
            archive.add(path, path.name)
    output = tmp_path / "runs"
    tar = tmp_path / "a.tar"
    assert not evaluate.main(line(model, output, "--tar", tar, "--count", 5))
    result = result_in(output)
    assert list(result["figures"]) == ["reconstruction"]
    assert result["examples"]["asked"] == 5


def test_one_picture_has_the_figures_that_it_can_have(model, tmp_path):
    folder = tmp_path / "one"
    folder.mkdir()
    Image.new("RGB", (40, 30), "red").save(folder / "a.png")
    assert not evaluate.main(line(model, tmp_path, "--images", folder))
    result = result_in(tmp_path)
    found = result["figures"]["reconstruction"]
    assert "psnr" in found and "frechet_tokenizer_encoder" not in found
    assert any(
        "2 features" in why for why in result["left_out"]["reconstruction"]
    )


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--directions", "image_to_text"], "needs captions"),
        (["--count", "0"], "--count must be at least 1"),
        (["--reference", "none.npz"], "There are no statistics"),
        (["--extractors", "fid"], "pt_inception-2015-12-05"),
        (["--lpips", "none.npz"], "none.npz"),
    ],
)
def test_what_cannot_be_is_told_in_one_line(
    model, pairs, tmp_path, capsys, more, message
):
    arguments = line(model, tmp_path, "--images", pairs, *more)
    assert evaluate.main(arguments) == 1
    told = capsys.readouterr().err.strip()
    assert message in told and "\n" not in told and len(told) < 330
    assert not (tmp_path / "run").exists()


def test_only_damaged_pictures_are_an_error(model, tmp_path, capsys):
    folder = tmp_path / "bad"
    folder.mkdir()
    (folder / "a.png").write_bytes(b"\x89PNG and no more")
    assert evaluate.main(line(model, tmp_path, "--images", folder)) == 1
    assert "can be read" in capsys.readouterr().err


def test_samples_and_statistics_are_exported(model, pairs, tmp_path):
    samples, kept = tmp_path / "samples.npz", tmp_path / "reference.npz"
    assert not evaluate.main(
        line(
            *(model, tmp_path, "--pairs", pairs),
            *("--directions", "text_to_image", "--count", 4),
            *("--save-samples", samples, "--save-reference", kept),
            *("--blurs", "1", "2"),
        )
    )
    with np.load(samples) as arrays:
        assert arrays["arr_0"].shape == (4, 16, 16, 3)
        assert arrays["arr_0"].dtype == np.uint8
    figures = result_in(tmp_path)["figures"]["text_to_image"]
    assert "frechet_tokenizer_encoder_blur_2" in figures
    again = line(
        *(model, tmp_path / "again", "--pairs", pairs, "--count", 4),
        *("--directions", "text_to_image", "--reference", kept),
    )
    assert not evaluate.main(again)
    found = result_in(tmp_path / "again")["figures"]["text_to_image"]
    name = "frechet_tokenizer_encoder"
    np.testing.assert_allclose(
        found[name]["value"], figures[name]["value"], rtol=1e-4
    )
