import os
import pathlib

import numpy as np
import pytest
from PIL import Image

from keras_bidalle import data
from keras_bidalle.data import CenterCrop, ImageFolder, ImageReader

pytestmark = pytest.mark.any_backend


def test_all_images_below_a_folder_in_the_order_of_their_paths(tmp_path):
    for value, name in enumerate(("b.png", "a.png", "sub/c.png")):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        Image.new("RGB", (4, 4), (value, 0, 0)).save(path)
    source = ImageFolder(str(tmp_path))
    assert len(source) == 3
    assert source.name(0) == str(tmp_path / "a.png")
    assert source.read(0).captions == []
    reader = ImageReader(source, CenterCrop(4))
    values = [reader.read(i)[0][0, 0, 0] for i in range(3)]
    np.testing.assert_array_equal(values, [1, 0, 2])
    assert reader.read(0)[1] == "" and reader.report() == ""


def test_a_name_of_any_bytes_is_one_printable_line(tmp_path, capsys):
    names = [b"a\xff.png", b"b\nskipped 0 images:.png", b"c\x1b[31m.png"]
    for name in names:
        pathlib.Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)).touch()
    source = ImageFolder(tmp_path)
    reader = ImageReader(source, CenterCrop(4))
    assert [reader.read(i) for i in range(3)] == [None] * 3
    print(reader.report(), source.description)
    told = capsys.readouterr().out
    assert len(told.splitlines()) == 4 and "\x1b" not in told
    assert "a\\udcff.png: not an image" in told


def test_old_names_are_the_new_ones(tmp_path):
    with pytest.warns(DeprecationWarning, match="data.image_files"):
        assert data.picture_files is data.image_files
    for old, new in data._OLD_NAMES.items():
        with pytest.warns(DeprecationWarning):
            assert getattr(data, old) is getattr(data, new)


def test_the_description_changes_with_the_files(tmp_path):
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    before = ImageFolder(tmp_path).description
    assert before == ImageFolder(tmp_path).description
    assert before.startswith("1 pictures in ")
    Image.new("RGB", (64, 64), "red").save(tmp_path / "a.png")
    assert ImageFolder(tmp_path).description != before


def test_a_folder_without_images_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="holds no image"):
        ImageFolder(tmp_path)
    with pytest.raises(FileNotFoundError, match="no folder"):
        ImageFolder(tmp_path / "missing")
