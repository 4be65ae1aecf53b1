import io

import numpy as np
import pytest
from PIL import Image

from keras_bidalle.data import (
    CenterCrop,
    ImageBatches,
    ImageReader,
    TFDSImages,
)

pytestmark = pytest.mark.any_backend

tfds = pytest.importorskip("tensorflow_datasets")


def image(value):
    file = io.BytesIO()
    Image.new("RGB", (4, 4), (value, 0, 0)).save(file, "PNG")
    return file.getvalue()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A data set as TensorFlow Datasets stores it, written here."""
    folder = tmp_path_factory.mktemp("tfds")
    features = tfds.features
    names = ["zero", "one", "two"]
    rows = [
        {
            "image": image(i),
            # Nothing that TensorFlow can decode.
            "mask": b"no image",
            "captions": [
                {"text": f"number {i}", "id": i},
                {"text": f"{i}", "id": i},
            ],
            "title": f"title {i}",
            "label": i % 3,
        }
        for i in range(150)
    ]
    rows[3]["image"] = rows[3]["image"][:50]
    rows[4]["captions"] = []
    rows[5]["title"] = b"\xff\xff"
    rows[6]["label"] = -1
    tfds.dataset_builders.store_as_tfds_dataset(
        name="numbers",
        version="1.0.0",
        data_dir=folder,
        features=features.FeaturesDict(
            {
                "image": features.Image(),
                "mask": features.Image(),
                "captions": features.Sequence(
                    {"text": features.Text(), "id": np.int64}
                ),
                "title": features.Text(),
                "label": features.ClassLabel(names=names),
            }
        ),
        split_datasets={"train": list(enumerate(rows))},
        disable_shuffling=True,
    )
    return folder


def read(source, index):
    return ImageReader(source, CenterCrop(4)).read(index)


def value(row):
    return int(row[0][0, 0, 0])


def test_records_are_read_by_their_place(folder):
    source = TFDSImages("numbers", data_dir=folder)
    assert len(source) == 150
    # 64 and 128 begin other blocks.
    for index in (149, 0, 64, 63, 128, 1):
        row = read(source, index)
        assert value(row) == index and row[1] == ""


def test_captions_are_texts_or_names_of_classes(folder):
    for captions, expected in (
        ("captions/text", ["number 10", "10"]),
        ("title", ["title 10"]),
        ("label", ["one"]),
    ):
        source = TFDSImages("numbers", captions=captions, data_dir=folder)
        assert source.read(10).captions == expected


def test_a_split_may_be_a_slice(folder):
    source = TFDSImages("numbers", "train[100:]", data_dir=folder)
    assert len(source) == 50
    assert value(read(source, 0)) == 100 and value(read(source, 49)) == 149
    assert len(TFDSImages("numbers", "train[:10%]", data_dir=folder)) == 15


def test_what_cannot_be_read_is_skipped_and_told(folder):
    for captions, index, why in (
        (None, 3, "truncated"),
        ("captions/text", 4, "it has no caption"),
        ("title", 5, "utf-8"),
        ("label", 6, "its class is not known"),
    ):
        source = TFDSImages("numbers", captions=captions, data_dir=folder)
        reader = ImageReader(source, CenterCrop(4))
        assert reader.read(index) is None
        name = f"numbers train record {index}"
        assert list(reader.skipped) == [name]
        assert why in reader.skipped[name].lower()
        assert reader.read(7) is not None


def test_an_epoch_reads_each_block_once(folder, monkeypatch):
    source = TFDSImages("numbers", data_dir=folder)
    asked = []
    as_dataset = source._builder.as_dataset

    def counted(split, **options):
        asked.append(split)
        return as_dataset(split=split, **options)

    monkeypatch.setattr(source._builder, "as_dataset", counted)
    reader = ImageReader(source, CenterCrop(4))
    batches = ImageBatches(reader, 50, shard=(0, 1))
    values = np.concatenate([batches(i) for i in range(3)])[:, 0, 0, 0]
    # One is damaged, and the one after it is seen twice.
    assert len(set(values.tolist())) == 149
    assert sorted(asked) == [
        "train[0:64]",
        "train[128:150]",
        "train[64:128]",
    ]


def test_what_the_data_set_has_not_is_refused(folder):
    for wrong, why in (
        ({"split": "test"}, "`split` must be"),
        ({"split": "train[:0]"}, "empty"),
        ({"split": "train[:5]+train[9:]"}, "one split"),
        ({"image": "photo"}, "`image` must be a feature.*image"),
        ({"captions": "text"}, "`captions` must be a feature.*title"),
        ({"captions": "captions/words"}, "`captions` must be .*id, text"),
        ({"captions": "captions/id"}, "texts or of class labels"),
        ({"captions": "captions"}, "texts or of class labels"),
    ):
        with pytest.raises(ValueError, match=why):
            TFDSImages("numbers", data_dir=folder, **wrong)
