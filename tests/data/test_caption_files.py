import pytest

from keras_bidalle.data import read_captions

pytestmark = pytest.mark.any_backend

DAMAGED = [
    ("a.json", "{", "line 1"),
    ("a.json", "3", "neither"),
    ("a.json", "[3]", "must be an object"),
    ("a.json", '{"cat.png": null}', "must be text.*None"),
    ("a.json", '{"cat.png": 3}', "must be text"),
    ("a.json", '{"cat.png": {"a": "b"}}', "must be text"),
    ("a.json", '{"cat.png": ["a", 3]}', "must be text"),
    ("a.json", '{"cat.png": "\\ud800"}', "surrogates"),
    ("a.json", '{"cat.png": "a", "cat.png": "b"}', "'cat.png' comes twice"),
    ("a.json", "[" * 100_000, "nested too deeply"),
    ("a.json", '[{"file": "cat.png"}]', "one of caption"),
    ("a.json", '[{"file": 3, "caption": "a"}]', "must be text"),
    ("a.json", '{"images": [], "annotations": [{"image_id": 1}]}', "id=1"),
    ("a.json", '{"images": [], "annotations": [{}]}', "image_id"),
    ("a.json", '{"images": 3, "annotations": 3}', "."),
    ("a.json", b"\xff\xfe\xfa", "utf-8"),
    ("a.jsonl", '{"file": "cat.png", "caption": "a"}\n\n{"fi', "line 3"),
    ("a.jsonl", '{"file": "cat.png", "caption": "a"}\n{"a": 3}', "line 2"),
    ("a.csv", "File,file,caption\na.png,b.png,a\n", "comes twice"),
    ("a.jsonl", "[" * 100_000, "nested too deeply"),
    ("a.csv", "file,words\ncat.png,a cat\n", "one of caption"),
    ("a.csv", b"file,caption\n\xff,a", "utf-8"),
    ("a.csv", "file,caption\na.png,red\nb.png,red, left\n", "line 3: .*','"),
    ("a.csv", 'file,caption\na.png,"red\n' + "b.png,blue\n" * 9, "line 11"),
    ("a.csv", "file,caption\na.png\n", "line 2"),
    ("a.tsv", 'file\tcaption\na.png\t"red" 3\n', "line 2"),
]


@pytest.mark.parametrize("name, content, reason", DAMAGED)
def test_a_damaged_file_is_one_short_error(tmp_path, name, content, reason):
    path = tmp_path / name
    if isinstance(content, str):
        content = content.encode()
    path.write_bytes(content)
    with pytest.raises(ValueError, match=reason) as caught:
        read_captions(path)
    message = str(caught.value)
    assert message.startswith(f"{path} is not a file of captions: ")
    assert len(message) <= 300 and message.isprintable()


@pytest.mark.parametrize(
    "content",
    [
        "File_Name,CAPTION\ncat.png,a cat\n",
        "file_name, caption\ncat.png,a cat\n",
        "file_name;caption\ncat.png;a cat\n",
        'caption;"File"\n"a cat";cat.png\n',
    ],
)
def test_columns_are_found_however_people_write_them(tmp_path, content):
    path = tmp_path / "a.csv"
    path.write_text(content)
    assert read_captions(path) == {"cat.png": ["a cat"]}


def test_a_column_of_ones_own_may_be_in_capitals_too(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("File;Name\ncat.png;a cat, red\n")
    assert read_captions(path, "name") == {"cat.png": ["a cat, red"]}
