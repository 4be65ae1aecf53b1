"""The judge's figures are those of the task's own report."""

import numpy as np
import pytest

from keras_bidalle.tasks import mnist64

pytestmark = pytest.mark.any_backend


class Reader:
    """Sees the truth in every other crop."""

    def classify(self, crops):
        light = crops.reshape(len(crops), -1, 3).max(axis=1) > 0
        colors = [
            {(1, 1, 1): 0, (1, 0, 0): 1, (0, 1, 0): 2, (0, 0, 1): 3}[
                tuple(row.astype(int))
            ]
            for row in light
        ]
        return np.asarray(colors), np.arange(len(crops)) % 10


def items():
    rng = np.random.default_rng(0)
    images = (rng.random((40, 28, 28)) > 0.5).astype("uint8") * 255
    labels = (np.arange(40) % 10).astype("int32")
    return mnist64.Items("mnist", "noise", images, labels, images, labels)


def test_it_agrees_with_image_and_caption_accuracy():
    task = mnist64.MNIST64(items(), "unseen_instances")
    source = mnist64.MNIST64Images(task, per_layout=3, seed=0)
    judge = mnist64.MNIST64Judge(source, Reader(), task.grammar, "reader")
    records = [source.read(i) for i in range(len(source))]
    images = np.stack([record.image for record in records])
    indices = np.arange(len(source))
    clauses, layouts = source.clauses(indices), indices // 3
    right = judge.of_images(images, indices)
    expected = mnist64.image_accuracy(images, clauses, layouts, Reader())
    found = judge.accuracy(right, indices)
    np.testing.assert_allclose(found, expected["overall"]["accuracy"])
    captions = [record.captions[0] for record in records]
    captions[::2] = ["red 3 on the upper left ."] * len(captions[::2])
    right = judge.of_captions(captions, indices)
    expected = mnist64.caption_accuracy(
        captions, clauses, layouts, task.grammar
    )
    found = judge.accuracy(right, indices)
    np.testing.assert_allclose(found, expected["overall"]["accuracy"])
    assert judge.shares(right, indices).max() <= 1.0


def test_its_classifier_is_an_extractor():
    classifier = mnist64.ItemClassifier(seed=0)
    extractor = mnist64.item_extractor(classifier)
    task = mnist64.MNIST64(items(), "unseen_instances")
    images = task.sample(3, seed=0, layout=0).images
    features = extractor(images).features
    assert extractor.frechet_name == "frechet_item_classifier"
    assert features.shape == (3, 5 * 14)
    # In the order of the places, colors before items.
    places = features.reshape(3, 5, 14)
    for place in range(5):
        crops = mnist64.item_crops(images, np.full(3, place))
        colors, kinds = classifier.classify(crops)
        np.testing.assert_array_equal(places[:, place, :4].argmax(1), colors)
        np.testing.assert_array_equal(places[:, place, 4:].argmax(1), kinds)
