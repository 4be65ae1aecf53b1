"""Data that are no data: each is told in one line, and costs nothing."""

import inspect
import io
import os
import sys
import tarfile

import pytest
from PIL import Image

from keras_bidalle.data import (
    ImageError,
    ImageFolder,
    ImageTextFolder,
    TarImages,
    captioned_folder,
    image_files,
    open_image,
    read_captions,
)
from keras_bidalle.data.caption_files import MAX_TEXT_BYTES

pytestmark = pytest.mark.any_backend


def picture():
    file = io.BytesIO()
    Image.new("RGB", (4, 4)).save(file, "PNG")
    return file.getvalue()


def told(error):
    message = str(error)
    assert message.isprintable() and len(message) <= 300, message
    return message


def header(name, size=0, kind=b"0"):
    """A member's header, with a size that `tarfile` would not write."""
    block = bytearray(tarfile.TarInfo(name).tobuf(tarfile.GNU_FORMAT))
    mark = 0xFF if size < 0 else 0x80
    block[124:136] = bytes([mark]) + (size % 2**88).to_bytes(11, "big")
    block[156:157] = kind
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def with_notes(**notes):
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        info = tarfile.TarInfo("a.png")
        info.size = 3
        info.pax_headers = {k.replace("_", "."): v for k, v in notes.items()}
        archive.addfile(info, io.BytesIO(b"abc"))
    return file.getvalue()


TARS = {
    "a member before the one before it": header("a.png")
    + header("b.png")
    + header("c.png", -1024),
    "one of another kind": header("a.png") + header("b", -512, b"Q"),
    "less than nothing": header("a.png", -512),
    "more than all disks": header("a.png", 2**62),
    "notes of 16 GB": header("a.png", 2**34, b"x"),
    "a name of 16 GB": header("a.png", 2**34, b"L"),
    "notes of less than nothing": header("a.png", -512, b"x"),
    "headers of headers": header("a.png", 0, b"x") * 3000,
    "a hole": with_notes(GNU_sparse_map="0,5", GNU_sparse_size=str(2**60)),
    "a damaged hole": with_notes(GNU_sparse_map="x", GNU_sparse_size="3"),
    "a size in its notes": with_notes(size="-512"),
}


@pytest.mark.parametrize("name", TARS)
def test_a_tar_file_of_sizes_that_cannot_be_is_damaged(name, tmp_path):
    resource = pytest.importorskip("resource")
    path = tmp_path / "a.tar"
    path.write_bytes(TARS[name] + bytes(1024))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ValueError, match=r"a\.tar is damaged") as raised:
        TarImages(path)
    told(raised.value)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert after - before < 1 << 16  # 64 MB


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes")
def test_pipes_devices_and_links_to_themselves_end_no_run(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    os.symlink("/dev/zero", tmp_path / "zero.png")
    os.symlink("loop.png", tmp_path / "loop.png")
    files = image_files(tmp_path)
    assert len(files) == 3
    for path in files:
        with pytest.raises(ImageError, match=path.name) as raised:
            open_image(path)
        # The path once.
        assert str(raised.value).count(str(tmp_path)) == 1
    os.mkfifo(tmp_path / "captions.csv")
    with pytest.raises(ValueError, match="it is no file"):
        read_captions(tmp_path / "captions.csv")


def test_a_text_that_is_no_caption_is_not_read_whole(tmp_path):
    for name in "ab":
        (tmp_path / f"{name}.png").write_bytes(picture())
    (tmp_path / "a.txt").write_bytes(b"x " * (MAX_TEXT_BYTES // 2 + 1))
    (tmp_path / "b.txt").write_bytes(b"x " * (MAX_TEXT_BYTES // 2))
    source = ImageTextFolder(tmp_path)
    with pytest.raises(ImageError, match=r"a\.png: its \.txt has more than"):
        source.read(0)
    assert len(source.read(1).captions) == 1


def test_folders_may_lie_deep_in_each_other(tmp_path):
    folder = tmp_path.joinpath(*"d" * 150)
    folder.mkdir(parents=True)
    (folder / "a.png").touch()
    # As a thousand folders would be in a program's first calls.
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack(0)) + 100)
    try:
        assert image_files(tmp_path) == [folder / "a.png"]
    finally:
        sys.setrecursionlimit(limit)


def test_names_that_no_file_can_have_are_not_there(tmp_path):
    for name in ("x" * 10**5, "a\0b", "\x1b[31m", "[" * 10**4):
        for reader in (
            *(ImageFolder, ImageTextFolder, captioned_folder, TarImages),
        ):
            with pytest.raises(FileNotFoundError) as raised:
                reader(name)
            told(raised.value)
    # One among others is told when it is read.
    (tmp_path / "a.png").write_bytes(picture())
    table = tmp_path / "a.csv"
    table.write_text(f"file,caption\n{'x' * 5000}.png,lost\na.png,kept\n")
    source = ImageTextFolder(tmp_path, table)
    assert [source.read(i).captions for i in (0, 1)] == [["lost"], ["kept"]]
    with pytest.raises(ImageError, match="name too long"):
        open_image(source.read(0).image)


@pytest.mark.parametrize(
    "header", ["file,caption,caption", "file,caption,file"]
)
def test_a_column_that_comes_twice_is_not_lost(header, tmp_path):
    path = tmp_path / "captions.csv"
    path.write_text(f"{header}\na.png,one,two\n")
    with pytest.raises(ValueError, match="the column '.*' comes twice"):
        read_captions(path)
