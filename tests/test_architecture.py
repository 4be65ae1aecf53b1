"""A caption's way to a drawn code is that of docs/architecture.md."""

import pathlib
import re
import sys

import keras
import pytest
from small_models import CAPTIONS, small_model

import keras_bidalle
from keras_bidalle.sampling import filters, sampler

PACKAGE = pathlib.Path(keras_bidalle.__file__).parent
PAGE = PACKAGE.parent / "docs" / "architecture.md"


def modules_above():
    """The package's modules that are being called, the outermost first."""
    frame, found = sys._getframe(1), []
    while frame:
        path = pathlib.Path(frame.f_code.co_filename)
        if path.is_relative_to(PACKAGE):
            name = path.relative_to(PACKAGE).as_posix()
            if found[-1:] != [name]:
                found.append(name)
        frame = frame.f_back
    return found[::-1]


@pytest.mark.any_backend
def test_no_file_is_long():
    lines = {
        path.name: len(path.read_text().splitlines())
        for room in (PACKAGE, PACKAGE.parent / "recipes")
        for path in room.rglob("*.py")
    }
    assert lines
    assert {name: n for name, n in lines.items() if n > 350} == {}


@pytest.mark.any_backend
def test_one_room_asks_which_backend_runs():
    asking = [
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        if "backend()" in path.read_text()
    ]
    assert asking and all(name.startswith("backend/") for name in asking)


@pytest.mark.skipif(
    keras.config.backend() == "tensorflow",
    reason="TensorFlow traces copies of functions, which have other files",
)
def test_a_caption_passes_few_modules_one_way_and_none_twice(monkeypatch):
    ways = []

    def least_kept(*arguments):
        ways.append([*modules_above(), "sampling/filters.py"])
        return filters.least_kept(*arguments)

    monkeypatch.setattr(sampler, "least_kept", least_kept)
    model = small_model("plain")
    model.text_to_image(CAPTIONS[:1], top_k=3, decoder="sequential")

    (way, *_) = ways
    assert len(way) <= 9
    assert len(set(way)) == len(way)
    drawn = re.findall(r"^ \d  (\S+)", PAGE.read_text(), re.M)
    # torch runs a program as it is, without a frame of the compiler.
    assert way in (drawn, [m for m in drawn if "backend/" not in m])
