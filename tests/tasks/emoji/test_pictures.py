"""Reading the data set: what is there, and what is told when it is not."""

import csv
import shutil

import pytest
from made_emoji import make_emoji, picture, rows

from keras_bidalle.data import ImageError
from keras_bidalle.tasks import emoji

pytestmark = pytest.mark.any_backend


def test_each_split_has_its_pictures_in_the_order_of_the_table(splits):
    assert tuple(splits) == emoji.SPLITS
    table = rows()
    for split, pictures in splits.items():
        own = [row for row in table if row[1] == split]
        assert [row.file for row in pictures.rows] == [row[0] for row in own]
        assert pictures.images.shape == (len(own), 64, 64, 3)
        assert (pictures.images[-1] == picture(own[-1])).all()
        assert len(pictures) == len(own)
        assert pictures.names == [row[3] for row in own]


def test_what_is_missing_is_told_in_a_line(emoji_folder, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"`data_dir`.*emoji\.csv"):
        emoji.load_emoji(tmp_path)
    folder = tmp_path / "copy"
    shutil.copytree(emoji_folder, folder)
    (folder / "train" / rows()[0][0]).unlink()
    with pytest.raises(ImageError, match=r"fluent/man0\.png"):
        emoji.load_emoji(folder)
    make_emoji(folder)
    (folder / "train" / rows()[0][0]).write_bytes(b"no picture")
    with pytest.raises(ImageError, match=r"fluent/man0\.png"):
        emoji.load_emoji(folder)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("cell,", "sell,", "Missing: cell"),
        (",held_vendor,", ",held,", "split='held'"),
        (",held_vendor,", ",train,", "no row of 'held_vendor'"),
    ],
)
def test_a_damaged_table_is_refused(emoji_folder, tmp_path, old, new, message):
    text = (emoji_folder / "emoji.csv").read_text(encoding="utf-8")
    (tmp_path / "emoji.csv").write_text(text.replace(old, new), "utf-8")
    for split in emoji.SPLITS:
        shutil.copytree(emoji_folder / split, tmp_path / split)
    if "train" in new:
        shutil.copytree(
            emoji_folder / "held_vendor", tmp_path / "train", dirs_exist_ok=True
        )
    with pytest.raises(ValueError, match=message) as error:
        emoji.load_emoji(tmp_path)
    assert len(str(error.value)) <= 300 + len(str(tmp_path))


def test_the_made_up_table_reads_back(emoji_folder):
    with open(emoji_folder / "emoji.csv", encoding="utf-8") as file:
        assert [tuple(row) for row in csv.reader(file)][1:] == rows()
