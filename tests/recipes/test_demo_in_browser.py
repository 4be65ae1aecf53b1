"""The demo page in a headless Chromium, where Playwright and one are there."""

import io
import itertools
import random
import shutil
import socket

import numpy as np
import pytest
from PIL import Image

sync_api = pytest.importorskip("playwright.sync_api")
pytest.importorskip("gradio")

pytestmark = pytest.mark.any_backend
CAPTION = "blue 5 on the lower right , and white 2 on the upper left ."
PHONE = {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def browser():
    # Playwright's own, or the system's.
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    with sync_api.sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(
                executable_path=found, args=["--no-sandbox"]
            )
        except sync_api.Error as error:
            pytest.skip(f"no Chromium: {error.message.splitlines()[0]}")
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def model():
    from keras_bidalle import load

    return load("bidalle-mnist")


@pytest.fixture(scope="module")
def address(model, monkeypatch_of_module, tmp_path_factory):
    """Of the demo on the shipped preset, served by this process."""
    from demo_answers import Answers, References
    from demo_page import make_page

    monkeypatch_of_module.setenv("GRADIO_ANALYTICS_ENABLED", "False")
    folder = tmp_path_factory.mktemp("black")
    Image.new("RGB", (64, 64)).save(folder / "black.png")
    (folder / "black.txt").write_text(CAPTION.upper())
    references = References(folder, model.image_tokenizer.image_shape)
    page = make_page(Answers(model, references=references))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    page.queue().launch(
        server_name="127.0.0.1",
        server_port=port,
        prevent_thread_lock=True,
        quiet=True,
    )
    yield f"http://127.0.0.1:{port}"
    page.close()


@pytest.fixture(scope="module")
def monkeypatch_of_module():
    with pytest.MonkeyPatch.context() as patch:
        yield patch


def test_a_phone_shows_pictures_grow_reads_them_and_is_told_errors(
    browser, address, model, tmp_path, monkeypatch
):
    import demo_page

    page = browser.new_page(viewport=PHONE)
    page.set_default_timeout(300_000)
    page.goto(address)
    page.wait_for_selector("#draw")
    caption = page.get_by_label("Caption", exact=True).first

    def fits():
        return page.evaluate("document.documentElement.scrollWidth <= 390")

    assert fits()
    # bidalle-mnist knows no styles.
    assert not page.locator("#style").is_visible()
    for wrong, told in (
        ("a purple cow", "outside the vocabulary"),
        ("", "is empty"),
        (CAPTION * 6, "is too long"),
    ):
        caption.fill(wrong)
        page.click("#draw")
        page.wait_for_selector(f"text={told}")

    caption.fill(CAPTION)
    page.evaluate(RECORDED)
    page.click("#draw")
    page.wait_for_selector("text=The nearest in black")
    assert "the one picture with this caption" in shown(page, "#compared")
    assert " dB" in shown(page, "#nearest") and fits()
    assert page.locator("#drawn img").count() == 4
    assert "seed 0" in shown(page, "#drawn")
    sources = page.evaluate("window.seen")
    first, last = pixels(page, sources[0]), pixels(page, sources[-1])
    # Gray where nothing is drawn yet.
    assert len(sources) > 2 and (first[-1] == 128).all()
    whole = model.text_to_image(CAPTION, seed=0)[0]
    np.testing.assert_array_equal(last[::4, ::4], whole)

    monkeypatch.setattr(demo_page, "random", random.Random(1))
    page.click("#surprise")
    page.wait_for_selector("text=none of which has this caption")
    seed = page.get_by_label("Seed of the first picture").input_value()
    assert f"seed {seed}" in shown(page, "#drawn")
    assert caption.input_value() != CAPTION

    # What was drawn is what is read: the caption comes back.
    Image.fromarray(last).save(tmp_path / "drawn.png")
    page.get_by_role("tab", name="Picture to caption").click()
    page.set_input_files("#upload input[type=file]", tmp_path / "drawn.png")
    page.wait_for_selector("#upload img")
    page.click("#read")
    page.wait_for_selector("text=captions that the model wrote in 48 samples")
    text = page.locator("#caption textarea").input_value()
    assert said(text) == said(CAPTION)
    lines = shown(page, "#odds").splitlines()
    rows = [(said(a), b[-1:]) for a, b in itertools.pairwise(lines) if a and b]
    assert (said(CAPTION), "%") in rows
    assert fits()


# Sources of the first picture, in their order.
RECORDED = """
window.seen = [];
setInterval(() => {
  const image = document.querySelector('#drawn img');
  if (image && !window.seen.includes(image.src)) window.seen.push(image.src);
}, 20);
"""


def shown(page, place):
    return page.locator(place).inner_text()


def pixels(page, source):
    return np.asarray(Image.open(io.BytesIO(page.request.get(source).body())))


def said(caption):
    """What a caption says, however it says it: a set of words a clause."""
    filler = {"on", "the", "is", "and", "number", "."}
    return {frozenset(c.split()) - filler for c in caption.split(",")}
