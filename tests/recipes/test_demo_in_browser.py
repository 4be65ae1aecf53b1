"""The demo page in a headless Chromium, where Playwright and one are there."""

import shutil
import socket

import pytest

sync_api = pytest.importorskip("playwright.sync_api")
pytest.importorskip("gradio")

CAPTION = "blue 5 on the lower right , and white 2 on the upper left ."


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
def address(monkeypatch_of_module):
    """Of the demo on the shipped preset, served by this process."""
    import serve_demo

    from keras_bidalle import load

    monkeypatch_of_module.setenv("GRADIO_ANALYTICS_ENABLED", "False")
    model = load("bidalle-mnist")
    page = serve_demo.make_page(model, serve_demo.examples_for(model))
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


def test_captions_are_drawn_pictures_read_and_errors_told(
    browser, address, tmp_path
):
    page = browser.new_page()
    page.set_default_timeout(300_000)
    page.goto(address)
    page.wait_for_selector("#draw")
    caption = page.get_by_label("Caption", exact=True).first

    caption.fill("a purple cow")
    page.click("#draw")
    page.wait_for_selector("text=outside the vocabulary")

    caption.fill(CAPTION)
    page.click("#draw")
    page.wait_for_function(
        "document.querySelectorAll('#drawn img').length == 4"
    )
    source = page.locator("#drawn img").first.get_attribute("src")
    drawn = tmp_path / "drawn.webp"
    drawn.write_bytes(page.request.get(source).body())

    # What was drawn is what is read: the caption comes back.
    page.get_by_role("tab", name="Picture to caption").click()
    page.set_input_files("#upload input[type=file]", drawn)
    page.wait_for_selector("#upload img")
    page.click("#read")
    page.wait_for_function(
        "document.querySelector('#caption textarea').value.length > 3"
    )
    text = page.locator("#caption textarea").input_value()
    assert said(text) == said(CAPTION)


def said(caption):
    """What a caption says, however it says it: a set of words a clause."""
    filler = {"on", "the", "is", "and", "number", "."}
    return {frozenset(c.split()) - filler for c in caption.split(",")}
