"""The programs that export a model and show it on a page."""

import socket
import sys

import keras
import numpy as np
import pytest
from PIL import Image
from small_models import CAPTIONS, small_model

from keras_bidalle.sampling.settings import (
    IMAGE_TO_TEXT,
    SETTINGS,
    TEXT_TO_IMAGE,
    checked_settings,
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


def test_the_page_draws_and_reads(model, tmp_path):
    import serve_demo

    told = []

    def progress(done, of):
        told.append((done, of))

    # Filters that keep everything are left out, as sliders begin with them.
    settings = {"temperature": 1.0, "top_k": 0, "guidance_scale": 2.0}
    drawn = serve_demo.draw(model, CAPTIONS[0], 3, 2, settings, progress)
    assert told == [(0, 2), (1, 2), (2, 2)]
    expected = model.text_to_image(
        CAPTIONS[0], seed=3, guidance_scale=2.0, num_samples=2
    )
    assert [picture.size for picture in drawn] == [(256, 256)] * 2
    shown = np.stack([np.asarray(p)[8::16, 8::16] for p in drawn])
    assert np.abs(shown.astype(int) - expected[0]).max() <= 1

    Image.fromarray(expected[0, 0]).resize((40, 50)).save(tmp_path / "a.png")
    text = serve_demo.read(model, tmp_path / "a.png", 0, {}, progress)
    assert isinstance(text, str)
    with pytest.raises(ValueError, match="Upload a picture"):
        serve_demo.read(model, None, 0, {}, progress)
    assert serve_demo.examples_for(model)[:2] == CAPTIONS


def test_the_page_has_limits(model, tmp_path, capsys):
    import serve_demo

    def refused(message, function, *inputs):
        with pytest.raises(ValueError, match=message):
            function(model, *inputs, {}, None)

    refused("At most 8 pictures", serve_demo.draw, CAPTIONS[0], 0, 9)
    refused("At most 8 pictures", serve_demo.draw, CAPTIONS[0], 0, 0)
    refused("At most 1000 char", serve_demo.draw, "red " * 300, 0, 1)
    with open(tmp_path / "large.png", "wb") as file:
        file.truncate(serve_demo.MAX_UPLOAD + 1)
    refused("At most 16 MiB", serve_demo.read, tmp_path / "large.png", 0)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        # Before the model is looked for.
        assert serve_demo.main(["no-such-model", "--port", port]) == 1
    told = capsys.readouterr().err
    assert f"127.0.0.1:{port}, give another --host or --port" in told
    assert len(told.splitlines()) == 1


def test_the_page_offers_every_setting_that_the_model_follows(model):
    import serve_demo

    drawn = serve_demo.offered_settings(model, TEXT_TO_IMAGE)
    assert drawn == SETTINGS
    for direction in (TEXT_TO_IMAGE, IMAGE_TO_TEXT):
        offered = serve_demo.offered_settings(model, direction)
        for setting in offered.values():
            slider = serve_demo.slider(
                setting, direction, {"text_to_image": {"top_k": 3}}
            )
            ends = [slider["minimum"], slider["value"], slider["maximum"]]
            assert ends == sorted(ends)
            for value in ends:
                given = serve_demo.without_neutral({setting.name: value})
                checked_settings(given, direction, 1, model.generator)


def test_without_gradio_the_page_says_what_to_install(
    model, monkeypatch, capsys
):
    import serve_demo

    monkeypatch.setitem(sys.modules, "gradio", None)
    with pytest.raises(ImportError, match=r"keras_bidalle\[demo\]"):
        serve_demo.make_page(model, CAPTIONS)


def test_the_page_has_both_directions(model):
    pytest.importorskip("gradio")
    import serve_demo

    page = serve_demo.make_page(model, CAPTIONS)
    names = {f.api_name for f in page.fns.values()}
    assert {"draw", "read"} <= names
