import keras
import numpy as np
import pytest
from sklearn.datasets import load_digits

from keras_bidalle.tasks.mnist64 import (
    ItemClassifier,
    Items,
    item_classifier_accuracy,
    train_item_classifier,
)


@pytest.fixture(scope="module")
def items():
    """Scikit-learn's digits, three times as large, in a 28x28 frame."""
    digits = load_digits()
    images = np.kron(digits.images * 15, np.ones((1, 3, 3))).astype("uint8")
    images = np.pad(images, ((0, 0), (2, 2), (2, 2)))
    labels = digits.target.astype("int32")
    return Items(
        "mnist",
        "sklearn",
        images[:1500],
        labels[:1500],
        images[1500:],
        labels[1500:],
    )


def test_it_learns_colors_and_digits(items):
    classifier = train_item_classifier(items, seed=0, steps=60, batch_size=64)
    result = item_classifier_accuracy(classifier, items)
    assert result["color_accuracy"] > 0.99
    assert result["item_accuracy"] > 0.7
    assert result["accuracy"] <= result["item_accuracy"]


def test_outputs_are_logits_of_both_heads():
    classifier = ItemClassifier(width=4)
    outputs = classifier(np.zeros((2, 28, 28, 3), "float32"))
    assert tuple(outputs["color"].shape) == (2, 4)
    assert tuple(outputs["item"].shape) == (2, 10)


def test_the_digit_is_read_whatever_its_color():
    classifier = ItemClassifier(width=4, seed=1)
    crop = np.random.default_rng(0).integers(256, size=(1, 28, 28, 1))
    masks = np.asarray([[1, 1, 1], [1, 0, 0], [0, 1, 0], [0, 0, 1]])
    crops = (crop * masks[:, None, None]).astype("float32") / 127.5 - 1.0
    items = keras.ops.convert_to_numpy(classifier(crops)["item"])
    np.testing.assert_allclose(items, np.tile(items[:1], (4, 1)), atol=1e-5)


def test_uint8_and_float_crops_are_read_alike():
    classifier = ItemClassifier(width=4, seed=1)
    crops = np.random.default_rng(0).integers(256, size=(6, 28, 28, 3))
    crops = crops.astype("uint8")
    floats = crops.astype("float32") / 127.5 - 1.0
    for one, two in zip(
        classifier.classify(crops), classifier.classify(floats), strict=True
    ):
        np.testing.assert_array_equal(one, two)
    with pytest.raises(ValueError, match="`crops` must have shape"):
        classifier.classify(np.zeros((6, 32, 32, 3), "uint8"))


def test_same_seed_same_weights():
    def weights(seed):
        return ItemClassifier(width=4, seed=seed).get_weights()

    for one, two in zip(weights(3), weights(3), strict=True):
        np.testing.assert_array_equal(one, two)
    assert not np.array_equal(weights(3)[0], weights(4)[0])


def test_a_saved_classifier_answers_the_same(tmp_path):
    classifier = ItemClassifier(width=4, seed=2)
    classifier.save(tmp_path / "classifier.keras")
    again = keras.saving.load_model(tmp_path / "classifier.keras")
    assert again.get_config() == classifier.get_config()
    crops = np.random.default_rng(0).uniform(-1, 1, (3, 28, 28, 3))
    one, two = (m(crops.astype("float32")) for m in (classifier, again))
    for head in ("color", "item"):
        np.testing.assert_allclose(
            keras.ops.convert_to_numpy(one[head]),
            keras.ops.convert_to_numpy(two[head]),
            rtol=1e-6,
        )
