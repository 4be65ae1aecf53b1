import json
import shutil
import unicodedata

import pytest
from PIL import Image

from keras_bidalle.data import (
    CenterCrop,
    ImageReader,
    ImageTextFolder,
    captioned_folder,
    read_captions,
)

pytestmark = pytest.mark.any_backend


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


def test_what_is_left_out_is_told(folder):
    (folder / "cat.TXT").write_text("a cat")
    for name in ("bird.heic", "bird.txt", "readme.txt"):
        (folder / name).write_text("a bird")
    source = ImageTextFolder(folder)
    assert captions_of(source) == {"cat.png": ["a cat"]}
    first, second = source.notes
    assert first.startswith("2 pictures without a caption")
    assert second.startswith("1 files") and "bird.heic" in second
    (folder / "c.csv").write_text("file,caption\ndog.png,a dog\n")
    (note,) = ImageTextFolder(folder, "c.csv").notes
    assert note.startswith("2 pictures without a caption")


def test_of_a_txt_and_a_file_of_captions_the_larger_is_taken(folder):
    (folder / "cat.txt").write_text("a stray note")
    table = folder / "c.csv"
    table.write_text("file,caption\ncat.png,a cat\ndog.png,a dog\n")
    source = captioned_folder(folder)
    assert captions_of(source)["cat.png"] == ["a cat"] and len(source) == 2
    assert "captions are those of c.csv" in source.notes[-1]
    (folder / "dog.txt").write_text("a dog")
    table.write_text("file,caption\ncat.png,a cat\n")
    source = captioned_folder(folder)
    assert captions_of(source)["cat.png"] == ["a stray note"]
    assert "1 a caption in c.csv" in source.notes[-1]
    # Some other table says nothing, unless a `.txt` is the exception.
    table.write_text("a,b\n1,2\n")
    assert len(captioned_folder(folder)) == 2
    (folder / "dog.txt").unlink()
    with pytest.raises(ValueError, match="not a file of captions"):
        captioned_folder(folder)


def test_a_column_is_one_of_a_file_of_captions(folder):
    (folder / "cat.txt").write_text("a cat")
    for call in (captioned_folder, ImageTextFolder):
        with pytest.raises(ValueError, match="`caption_name` must be None"):
            call(folder, caption_name="name")
    (folder / "c.csv").write_text("file,name\ncat.png,a red cat\n")
    source = captioned_folder(folder, caption_name="name")
    assert captions_of(source) == {"cat.png": ["a red cat"]}


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


@pytest.mark.parametrize("name", ["../cat.png", "/etc/hostname", ".", "a\0"])
def test_names_outside_the_folder_are_refused(folder, name):
    (folder / "c.json").write_text(json.dumps({name: "a cat"}))
    with pytest.raises(ValueError, match="must name images in the folder"):
        ImageTextFolder(folder, "c.json")


def test_names_inside_may_be_absolute(folder):
    (folder / "c.json").write_text(json.dumps({str(folder / "cat.png"): "x"}))
    assert ImageTextFolder(folder, "c.json").read(0).captions == ["x"]


@pytest.mark.parametrize("listed, there", [("NFC", "NFD"), ("NFD", "NFC")])
def test_a_name_is_found_however_its_letters_are_stored(folder, listed, there):
    name = "caf\u00e9.png"
    image = folder / unicodedata.normalize(there, name)
    shutil.copy(folder / "cat.png", image)
    listed = unicodedata.normalize(listed, name)
    (folder / "c.json").write_text(
        json.dumps(
            [
                {"file": listed, "caption": "a"},
                {"file": image.name, "caption": "b"},
            ]
        )
    )
    source = ImageTextFolder(folder, "c.json")
    assert source.read(0) == (image, ["a", "b"]) and len(source) == 1
    (folder / listed).with_suffix(".txt").write_text("beside")
    assert ImageTextFolder(folder).read(0) == (image, ["beside"])


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
