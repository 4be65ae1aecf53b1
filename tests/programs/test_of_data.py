"""Sizes are those of the data, never larger than the configuration's."""

import os

import numpy as np
import pytest
from PIL import Image

from keras_bidalle import data
from keras_bidalle.configurations import Configuration
from keras_bidalle.programs import of_data

pytestmark = pytest.mark.any_backend


class Drawings(data.ImageSource):
    """A few pictures in memory; two of them are alike."""

    description = "drawings"

    def __init__(self, count, side, captions):
        rng = np.random.default_rng(0)
        self.images = rng.integers(
            256, size=(count, side, side + 9, 3), dtype="uint8"
        )
        self.captions = captions

    def __len__(self):
        return len(self.images)

    def name(self, index):
        return str(index)

    def read(self, index):
        return data.Record(self.images[index], [self.captions[index % 2]])


def suited(source, size="small-64"):
    stages = [Configuration.find(size, s) for s in ("tokenizer", "generator")]
    told = of_data.suit(of_data.Survey.of(source), *stages)
    return *stages, told


def test_little_data_get_small_sizes():
    source = Drawings(4, 30, ["a red cat .", "a red dog on a roof ."])
    tokenizer, generator, told = suited(source)
    assert tokenizer.arguments["image_shape"] == (32, 32, 3)
    # 4 pictures of 64 patches, 8 for each code.
    assert tokenizer.arguments["quantizer"]["config"]["num_codes"] == 32
    assert generator.arguments["text_length"] >= 7 + 2
    assert generator.arguments["text_length"] <= 16
    assert generator.arguments["text_vocabulary_size"] < 100
    assert tokenizer.training["steps"] == 200
    told_now = " ".join(told())
    for part in ("32x32", "codes 32", "200 steps"):
        assert part in told_now
    # As options have it, where they are other.
    of_data.set_steps(generator, 7)
    assert "generator: 7 steps" in " ".join(told())


def test_much_data_get_those_of_the_configuration():
    captions = [
        " ".join(f"w{i:x}q{j:x}" for i in range(j, j + 130)) for j in (0, 7)
    ]
    source = Drawings(40, 400, captions)
    tokenizer, generator, told = suited(source)
    assert tokenizer.arguments["image_shape"] == (64, 64, 3)
    assert tokenizer.arguments["quantizer"]["config"]["num_codes"] == 1024
    assert generator.arguments["text_length"] == 96
    assert generator.training["warmup_steps"] <= generator.training["steps"]
    # None of them fits into so few tokens.
    with pytest.raises(ValueError, match="generator.text_length=") as error:
        told()
    generator.change("text_length", int(str(error.value).split("=")[-1][:3]))
    assert "left out" not in " ".join(told())


@pytest.mark.parametrize("text", ["a [UNK] tree", "a tree"])
def test_a_caption_that_cannot_be_spelled_is_passed_over(text):
    *_, told = suited(Drawings(4, 30, ["a red cat .", text]))
    assert "vocabulary" in " ".join(told())


def test_a_pipe_is_no_picture(tmp_path):
    os.mkfifo(tmp_path / "a.png")
    (tmp_path / "a.txt").write_text("a caption")
    with pytest.raises(data.ImageError, match="can be opened"):
        of_data.Survey.of(data.captioned_folder(tmp_path))


def test_unreadable_data_are_an_error(tmp_path):
    (tmp_path / "a.png").write_bytes(b"no picture")
    (tmp_path / "a.txt").write_text("a caption")
    with pytest.raises(data.ImageError, match="can be opened"):
        of_data.Survey.of(data.captioned_folder(tmp_path))


def test_a_folder_is_opened_by_what_lies_in_it(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"must have captions"):
        data.captioned_folder(tmp_path)
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    table = tmp_path / "names.csv"
    table.write_text("file,name\na.png,a square\n")
    source = data.captioned_folder(tmp_path, caption_name="name")
    assert source.read(0).captions == ["a square"]
    with pytest.raises(ValueError, match="caption"):
        data.captioned_folder(tmp_path)
    (tmp_path / "other.json").write_text('{"a.png": "a black square"}')
    with pytest.raises(ValueError, match="`captions` .*names.csv, other.json"):
        data.captioned_folder(tmp_path)
    source = data.captioned_folder(tmp_path, "other.json")
    assert source.read(0).captions == ["a black square"]
    (tmp_path / "a.txt").write_text("beside it")
    source = data.captioned_folder(tmp_path)
    assert source.read(0).captions == ["beside it"]
