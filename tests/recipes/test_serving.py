"""The programs that export a model and show it on a page."""

import socket
import sys

import keras
import numpy as np
import pytest
from PIL import Image
from small_models import CAPTIONS, small_model

from keras_bidalle.captions import CaptionTokenizer
from keras_bidalle.sampling.settings import (
    IMAGE_TO_TEXT,
    SETTINGS,
    TEXT_TO_IMAGE,
    checked_settings,
    without_neutral,
)


@pytest.fixture(scope="module")
def model():
    return small_model("patch")


@pytest.mark.skipif(
    keras.config.backend() != "tensorflow", reason="it starts TensorFlow itself"
)
def test_a_run_is_exported(model, tmp_path, capfd):
    import export_serving

    model.image_tokenizer.save_to_preset(tmp_path / "run" / "tokenizer")
    arguments = [str(tmp_path / "run"), str(tmp_path / "served")]
    assert export_serving.main([*arguments, "--no-check"]) == 0
    assert (tmp_path / "served" / "1" / "saved_model.pb").is_file()
    assert export_serving.main(["no-such-model", str(tmp_path / "x")]) == 1
    assert "Unknown preset" in capfd.readouterr().err


@pytest.fixture(scope="module")
def answers(model):
    from demo_answers import Answers

    return Answers(model)


@pytest.mark.any_backend
def test_the_page_draws_row_by_row_a_seed_a_picture(model, answers):
    # Filters that keep everything are left out, as sliders begin with them.
    settings = {"temperature": 1.0, "top_k": 0, "guidance_scale": 2.0}
    grown = list(answers.draw(CAPTIONS[0], 3, 2, settings))
    assert [pictures.shape for pictures in grown] == [(2, 16, 16, 3)] * 2
    assert (grown[0][:, 8:] == 128).all()
    whole = model.text_to_image(CAPTIONS[0], seed=4, guidance_scale=2.0)
    np.testing.assert_array_equal(grown[-1][1:], whole)
    # An empty field of a form is no number.
    (*_, first) = answers.draw(CAPTIONS[0], None, 1, settings)
    assert first.shape == (1, 16, 16, 3)


@pytest.mark.any_backend
def test_the_page_reads_and_tells_the_odds(model, answers, tmp_path):
    from demo_answers import Answers, CaptionFile

    pixels = np.random.default_rng(0).integers(0, 256, (50, 40, 3), "uint8")
    Image.fromarray(pixels).save(tmp_path / "a.png")
    assert isinstance(answers.read(tmp_path / "a.png", 0, {}), str)
    found, told = answers.likeliest(tmp_path / "a.png", 0)
    assert 0 < len(found) <= 10
    assert "captions that the model wrote in 48 samples" in told

    lines = [*CAPTIONS, "a purple cow", "", CAPTIONS[0]]
    (tmp_path / "names.txt").write_text("\n".join(lines))
    candidates = CaptionFile(tmp_path / "names.txt", model.caption_tokenizer)
    assert candidates.captions == CAPTIONS
    counted = []
    found, told = Answers(model, candidates=candidates).likeliest(
        tmp_path / "a.png", 0, lambda *progress: counted.append(progress)
    )
    assert {caption for caption, _ in found} == set(CAPTIONS)
    assert sum(odds for _, odds in found) == pytest.approx(1)
    assert "2 captions of names.txt" in told and counted == [(2, 2)]
    (tmp_path / "names.txt").write_text("a purple cow")
    with pytest.raises(ValueError, match="--captions must be a file with"):
        CaptionFile(tmp_path / "names.txt", model.caption_tokenizer)


def spelled(captions):
    """A byte pair encoding of captions that can spell anything."""
    printable = [chr(code) for code in range(33, 127)]
    return CaptionTokenizer.from_captions([*captions, *printable], 600, 100)


@pytest.mark.any_backend
def test_the_page_offers_what_its_model_has_been_told(model):
    from demo_answers import Answers
    from demo_examples import EMOJI, MNIST64, VENDORS, examples_for, styles_for

    named = [*EMOJI, *(f"x, {vendor} style" for vendor in VENDORS)]
    for tokenizer, examples, styles in (
        (model.caption_tokenizer, MNIST64, ()),
        (spelled(named * 2), EMOJI, VENDORS),
        (spelled(MNIST64 * 2), MNIST64, ()),
        (spelled(["two birds on a branch", "a quick brown fox"]), (), ()),
    ):
        assert examples_for(tokenizer) == [*examples]
        assert styles_for(tokenizer) == [*styles]
    assert Answers(model).examples[:2] == CAPTIONS
    assert Answers(model, ["blue 5 ."]).examples == ["blue 5 ."]


@pytest.mark.any_backend
def test_a_style_is_words_of_the_caption(answers, monkeypatch):
    asked = []
    monkeypatch.setattr(answers, "styles", ["noto"])
    monkeypatch.setattr(
        type(answers.model),
        "stream_text_to_image",
        lambda self, captions, **settings: asked.append(captions),
    )
    answers.draw("red 3", 0, 2, {}, "noto")
    answers.draw("red 3", 0, 1, {}, None)
    assert asked == [["red 3, noto style"] * 2, ["red 3"]]
    with pytest.raises(ValueError, match="is empty"):
        answers.draw(" ", 0, 1, {}, "noto")


@pytest.mark.any_backend
def test_a_drawn_picture_is_compared_with_the_folder(tmp_path, capsys):
    from demo_answers import References

    for name, value, caption in (
        ("a", 100, "Red 3, noto style"),
        ("b", 40, "red 3"),
        ("c", 90, "blue 5"),
    ):
        pixels = np.full((32, 32, 3), value, "uint8")
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")
        (tmp_path / f"{name}.txt").write_text(f"{caption}\n")
    (tmp_path / "broken.png").write_bytes(b"no picture")
    (tmp_path / "broken.txt").write_text("red 3")
    references = References(tmp_path, (16, 16, 3))
    assert "broken.png is left out" in capsys.readouterr().err

    drawn = np.full((1, 16, 16, 3), 90, "uint8")
    ((pixels, caption, psnr),), told = references.nearest("red 3", drawn)
    assert caption == "Red 3, noto style" and (pixels == 100).all()
    assert psnr == pytest.approx(20 * np.log10(255 / 10), abs=1e-3)
    assert f"in {tmp_path.name} of 2 pictures with this caption" in told
    ((pixels, caption, _),), told = references.nearest("green 7", drawn)
    assert caption == "blue 5" and (pixels == 90).all()
    assert "of all 3 pictures, none of which has this" in told
    assert 'caption: "blue 5".' in told

    for path in tmp_path.glob("*.txt"):
        path.unlink()
    for file, caption in (("names.json", "red 3"), ("more.json", "digit")):
        (tmp_path / file).write_text(f'{{"a.png": "{caption}"}}')
    with pytest.raises(ValueError, match=r"`captions` .*more.json, names.json"):
        References(tmp_path, (16, 16, 3))
    references = References(tmp_path, (16, 16, 3), "names.json")
    assert references.captions == ["red 3"]


@pytest.mark.any_backend
def test_the_page_has_limits(answers, tmp_path, capsys):
    import demo_answers
    import serve_demo

    def refused(message, function, *inputs):
        with pytest.raises(ValueError, match=message):
            function(*inputs, {})

    refused("At most 8 pictures", answers.draw, CAPTIONS[0], 0, 9)
    refused("At most 8 pictures", answers.draw, CAPTIONS[0], 0, 0)
    refused("at most 1000 char", answers.draw, "red " * 300, 0, 1)
    refused("is empty", answers.draw, "", 0, 1)
    refused("outside the vocabulary: 'cow'", answers.draw, "red cow", 0, 1)
    refused("Upload a picture", answers.read, None, 0)
    with open(tmp_path / "large.png", "wb") as file:
        file.truncate(demo_answers.MAX_UPLOAD + 1)
    refused("at most 16 MiB", answers.read, tmp_path / "large.png", 0)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        # Before the model is looked for.
        assert serve_demo.main(["no-such-model", "--port", port]) == 1
    told = capsys.readouterr().err
    assert f"127.0.0.1:{port}, give another --host or --port" in told
    assert len(told.splitlines()) == 1


@pytest.mark.any_backend
def test_the_page_offers_every_setting_that_the_model_follows(model):
    import demo_answers

    drawn = demo_answers.offered_settings(model, TEXT_TO_IMAGE)
    assert drawn == SETTINGS
    for direction in (TEXT_TO_IMAGE, IMAGE_TO_TEXT):
        offered = demo_answers.offered_settings(model, direction)
        for setting in offered.values():
            slider = demo_answers.slider(
                setting, direction, {"text_to_image": {"top_k": 3}}
            )
            ends = [slider["minimum"], slider["value"], slider["maximum"]]
            assert ends == sorted(ends)
            for value in ends:
                given = without_neutral({setting.name: value})
                checked_settings(given, direction, 1, model.generator)


@pytest.mark.any_backend
def test_without_gradio_the_page_says_what_to_install(monkeypatch, capsys):
    import serve_demo

    monkeypatch.delitem(sys.modules, "demo_page", raising=False)
    monkeypatch.setitem(sys.modules, "gradio", None)
    assert serve_demo.main(["no-such-model", "--port", "0"]) == 1
    assert 'pip install "keras_bidalle[demo]"' in capsys.readouterr().err


@pytest.mark.any_backend
def test_the_page_has_both_directions(answers):
    pytest.importorskip("gradio")
    from demo_page import make_page, percent

    page = make_page(answers)
    clicks = {click.api_name: click for click in page.fns.values()}
    assert {"draw", "surprise", "read", "likeliest"} <= clicks.keys()
    values = [component.value for component in clicks["draw"].inputs]
    *_, shown = clicks["draw"].fn(*values)
    assert len(shown) == len(clicks["draw"].outputs)
    assert [told for _, told in shown[0]] == [f"seed {j}" for j in range(4)]
    assert [percent(x) for x in (0.0004, 0.6321)] == ["< 0.1%", "63.2%"]
