import io
import tarfile

import numpy as np
import pytest
from PIL import Image

from keras_bidalle.data import CenterCrop, ImageReader, TarImages

pytestmark = pytest.mark.any_backend


def image(value):
    file = io.BytesIO()
    Image.new("RGB", (4, 4), (value, 0, 0)).save(file, "PNG")
    return file.getvalue()


def write(path, members, mode="w"):
    with tarfile.open(path, mode) as archive:
        for name, content in members:
            if isinstance(content, str):
                content = content.encode()
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


@pytest.fixture
def shards(tmp_path):
    write(
        tmp_path / "train-0.tar",
        [
            ("./000.png", image(10)),
            ("./000.txt", "ten\nthe number ten\n"),
            ("./000.json", "{}"),
            ("./001.cls", "3"),
            ("./001.PNG", image(20)),
        ],
    )
    write(
        tmp_path / "train-1.tar",
        [
            ("a/000.txt", "thirty"),
            ("a/000.seg.png", image(0)),
            ("a/000.png", image(30)),
            ("b/000.png", image(40)),
            ("b/000.txt", "forty"),
            ("b/001.txt", "nothing to see"),
        ],
    )
    return tmp_path / "train-*.tar"


def rows(source):
    reader = ImageReader(source, CenterCrop(4))
    found = [reader.read(i) for i in range(len(source))]
    assert reader.skipped == {}
    return [(int(pixels[0, 0, 0]), caption) for pixels, caption in found]


def test_members_of_one_name_are_one_record(shards):
    source = TarImages(shards, captions=True)
    assert rows(source) == [(10, "ten"), (30, "thirty"), (40, "forty")]
    assert source.read(0).captions == ["ten", "the number ten"]
    assert source.name(1) == f"{shards.parent / 'train-1.tar'}:a/000"
    # An image without a text, a text without an image.
    assert source.left_out == 2


def test_without_captions_every_image_counts(shards):
    source = TarImages([str(shards)])
    assert rows(source) == [(v, "") for v in (10, 20, 30, 40)]
    assert source.left_out == 1


def test_one_file_or_a_list_of_them(shards):
    first, second = (shards.parent / f"train-{i}.tar" for i in range(2))
    assert [v for v, _ in rows(TarImages(first))] == [10, 20]
    both = TarImages([second, first])
    assert [v for v, _ in rows(both)] == [30, 40, 10, 20]
    assert both.description != TarImages(shards).description


def test_hidden_files_do_not_part_a_record(tmp_path):
    members = [
        ("._1.png", "resource fork"),
        ("1.png", image(1)),
        ("._1.txt", "resource fork"),
        ("1.txt", "one"),
    ]
    path = write(tmp_path / "a.tar", members)
    source = TarImages(path, captions=True)
    assert rows(source) == [(1, "one")] and source.left_out == 0


def test_a_record_with_many_members_is_read_by_its_place(tmp_path):
    names = [(f"{i:04}.png", image(i)) for i in range(100)]
    source = TarImages(write(tmp_path / "a.tar", names))
    order = np.random.default_rng(0).permutation(100)
    reader = ImageReader(source, CenterCrop(4))
    values = [reader.read(int(i))[0][0, 0, 0] for i in order]
    np.testing.assert_array_equal(values, order)


def test_what_cannot_be_read_is_skipped_and_told(tmp_path):
    members = [
        ("a.png", image(1)[:40]),
        ("a.txt", "cut"),
        ("b.png", image(2)),
        ("b.txt", b"\xff\xff"),
        ("c.png", image(3)),
        ("c.txt", "\n"),
        ("d.png", image(4)),
        ("d.txt", "fine"),
    ]
    path = write(tmp_path / "a.tar", members)
    reader = ImageReader(TarImages(path, captions=True), CenterCrop(4))
    found = [reader.read(i) for i in range(4)]
    assert found[:3] == [None] * 3 and found[3][1] == "fine"
    assert list(reader.skipped) == [f"{path}:{name}" for name in "abc"]
    assert reader.skipped[f"{path}:b"] == "its .txt is not UTF-8"
    assert reader.skipped[f"{path}:c"] == "its .txt has no caption"
    # Texts that nobody asked for do no harm.
    assert len(TarImages(path)) == 4
    reader = ImageReader(TarImages(path), CenterCrop(4))
    assert [reader.read(i) is None for i in range(4)] == [True] + [False] * 3
    path.unlink()
    assert reader.read(3) is None
    assert "No such file" in reader.skipped[f"{path}:d"]


def test_a_damaged_file_is_an_error_that_names_it(tmp_path):
    names = [(f"{i}.png", image(i)) for i in range(4)]
    path = write(tmp_path / "a.tar", names)
    whole = path.read_bytes()
    # Each member is a header of 512 bytes and one block of contents.
    damaged = bytearray(whole)
    damaged[2 * 1024 : 2 * 1024 + 512] = b"x" * 512
    for content in (b"", b"no tar", whole[:700], whole[:2248], damaged):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"a\.tar is damaged, compressed"):
            TarImages(path)
    write(path, names, "w:gz")
    with pytest.raises(ValueError, match=r"a\.tar is damaged, compressed"):
        TarImages(path)
    # Cut between two members, of which each is whole.
    path.write_bytes(whole[: 4 * 1024])
    with pytest.raises(ValueError, match="it is cut at byte 4096"):
        TarImages(path)


def test_what_is_not_there_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="no file .*x-"):
        TarImages(tmp_path / "x-*.tar")
    path = write(tmp_path / "a.tar", [("1.png", image(1))])
    with pytest.raises(FileNotFoundError, match="no image with a .txt in"):
        TarImages(path, captions=True)
    path = write(tmp_path / "b.tar", [("1.txt", "one")])
    with pytest.raises(FileNotFoundError, match="There is no image in"):
        TarImages(path)
