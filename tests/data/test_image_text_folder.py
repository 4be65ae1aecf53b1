import json

import pytest
from PIL import Image

from keras_bidalle.data import (
    CenterCrop,
    ImageReader,
    ImageTextFolder,
    read_captions,
)


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "images"
    for name in ("cat", "dog", "sub/owl"):
        path = folder / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4)).save(path)
    return folder


def captions_of(source):
    names = [
        (source.folder / source.name(i)).relative_to(source.folder).as_posix()
        for i in range(len(source))
    ]
    return {n: source.read(i).captions for i, n in enumerate(names)}


def test_captions_lie_beside_the_images(folder):
    (folder / "cat.txt").write_text("a cat\n\n  a   red cat \n")
    (folder / "sub/owl.txt").write_bytes("\ufeffan öwl".encode())
    source = ImageTextFolder(folder)
    assert captions_of(source) == {
        "cat.png": ["a cat", "a red cat"],
        "sub/owl.png": ["an öwl"],
    }
    assert source.left_out == 1


def test_captions_may_lie_in_a_folder_of_their_own(folder, tmp_path):
    texts = tmp_path / "texts"
    (texts / "sub").mkdir(parents=True)
    (texts / "dog.txt").write_text("a dog")
    (texts / "sub/owl.txt").write_text("an owl")
    expected = {"dog.png": ["a dog"], "sub/owl.png": ["an owl"]}
    assert captions_of(ImageTextFolder(folder, texts)) == expected
    texts.rename(folder / "texts")
    assert captions_of(ImageTextFolder(folder, "texts")) == expected


FORMS = {
    "object.json": '{"cat.png": "a cat", "dog.png": ["a dog", "brown"]}',
    "list.json": json.dumps(
        [
            {"file": "cat.png", "caption": "a cat"},
            {"file_name": "dog.png", "captions": ["a dog", "brown"]},
        ]
    ),
    "lines.jsonl": '{"image": "cat.png", "text": "a\u2028cat"}\n\n'
    '{"path": "dog.png", "text": "a dog"}\n'
    '{"path": "dog.png", "text": "brown"}',
    "coco.json": json.dumps(
        {
            "images": [
                {"id": 7, "file_name": "cat.png"},
                {"id": 3, "file_name": "dog.png"},
            ],
            "annotations": [
                {"image_id": 7, "caption": "a cat"},
                {"image_id": 3, "caption": "a dog\n"},
                {"image_id": 3, "caption": "brown"},
            ],
        }
    ),
    "table.csv": "id,filename,caption\n"
    '1,cat.png,"a\ncat"\n2,dog.png,a dog\n3,dog.png,brown\n',
    "table.tsv": "caption\tfile\na cat\tcat.png\na dog\tdog.png\n"
    "brown\tdog.png",
}


@pytest.mark.parametrize("name", FORMS)
def test_captions_may_be_one_file(folder, name):
    path = folder / name
    path.write_text(FORMS[name], encoding="utf-8-sig")
    expected = {"cat.png": ["a cat"], "dog.png": ["a dog", "brown"]}
    assert read_captions(path) == expected
    for captions in (path, name):
        assert captions_of(ImageTextFolder(folder, captions)) == expected


def test_listed_images_without_a_caption_are_left_out(folder):
    (folder / "c.json").write_text('{"cat.png": " ", "dog.png": ["", "x"]}')
    source = ImageTextFolder(folder, "c.json")
    assert captions_of(source) == {"dog.png": ["x"]}
    assert source.left_out == 1


@pytest.mark.parametrize(
    "name, content",
    [
        ("a.json", "{"),
        ("a.json", "3"),
        ("a.json", "[3]"),
        ("a.json", '{"cat.png": null}'),
        ("a.json", '{"cat.png": 3}'),
        ("a.json", '{"cat.png": {"a": "b"}}'),
        ("a.json", '{"cat.png": ["a", 3]}'),
        ("a.json", '[{"file": "cat.png"}]'),
        ("a.json", '[{"file": 3, "caption": "a"}]'),
        ("a.json", '{"images": [], "annotations": [{"image_id": 1}]}'),
        ("a.json", '{"images": 3, "annotations": 3}'),
        ("a.json", b"\xff\xfe\xfa"),
        ("a.jsonl", '{"file": "cat.png", "caption": "a"}\n{"fi'),
        ("a.csv", "file,words\ncat.png,a cat\n"),
        ("a.csv", b"file,caption\n\xff,a"),
    ],
)
def test_a_damaged_file_of_captions_is_one_error(tmp_path, name, content):
    path = tmp_path / name
    if isinstance(content, str):
        content = content.encode()
    path.write_bytes(content)
    with pytest.raises(ValueError) as caught:
        read_captions(path)
    assert str(caught.value).startswith(f"{path} is not a file of captions: ")


def test_what_is_not_there_is_an_error(folder):
    with pytest.raises(FileNotFoundError, match="no image with a .txt"):
        ImageTextFolder(folder)
    with pytest.raises(FileNotFoundError, match="no folder"):
        ImageTextFolder(folder / "missing")
    with pytest.raises(FileNotFoundError, match="words.json"):
        ImageTextFolder(folder, "words.json")
    (folder / "words.txt").write_text("a cat")
    with pytest.raises(ValueError, match="read from .json"):
        ImageTextFolder(folder, "words.txt")
    (folder / "empty.json").write_text("{}")
    with pytest.raises(FileNotFoundError, match="a caption in .*empty.json"):
        ImageTextFolder(folder, "empty.json")


def test_what_cannot_be_read_is_skipped_and_told(folder):
    (folder / "cat.txt").write_text("\n")
    (folder / "dog.txt").write_bytes(b"a d\xf6g")
    (folder / "sub/owl.txt").write_text("an owl")
    (folder / "sub/owl.png").write_bytes(b"no image")
    reader = ImageReader(ImageTextFolder(folder), CenterCrop(4))
    assert [reader.read(i) for i in range(3)] == [None] * 3
    assert reader.skipped == {
        str(folder / "cat.png"): "its .txt has no caption",
        str(folder / "dog.png"): "its .txt is not UTF-8",
        str(folder / "sub/owl.png"): "not an image of a known format",
    }
    (folder / "c.json").write_text('{"fox.png": "a fox", "cat.png": "a cat"}')
    reader = ImageReader(ImageTextFolder(folder, "c.json"), CenterCrop(4))
    assert reader.read(0) is None and reader.read(1)[1] == "a cat"
    assert list(reader.skipped.values()) == ["there is no such file"]
