"""The judge of drawn emoji."""

import keras
import numpy as np
import pytest

from keras_bidalle.tasks.emoji.attributes import attributes_of
from keras_bidalle.tasks.emoji.classifier import train_classifier


@pytest.fixture(scope="module")
def trained(splits):
    keras.utils.set_random_seed(0)
    train = splits["train"]
    truths = [attributes_of(row) for row in train.rows]
    return train_classifier(train.images, truths, steps=60, batch_size=16)


def test_it_learns_to_read_the_pictures_it_has_seen(trained, splits):
    train = splits["train"]
    found = trained.classify(train.images)
    truths = [attributes_of(row) for row in train.rows]
    right = [a.concept == b.concept for a, b in zip(found, truths, strict=True)]
    assert np.mean(right) > 0.8
    assert {one.hour for one in found} > {None}
    assert trained.classify(train.images[:0]) == []


def test_it_reads_the_same_after_it_was_saved(trained, splits, tmp_path):
    images = splits["held_vendor"].images
    trained.save(tmp_path / "classifier.keras")
    again = keras.saving.load_model(tmp_path / "classifier.keras")
    assert again.classify(images) == trained.classify(images)
