"""Tests of what `fit` and `evaluate` take for images."""

import keras
import numpy as np
import pytest
from keras import ops
from small_tokenizers import as_float, patch_vqgan, uint8_images

from keras_bidalle.image_tokenizers.training_images import ImageChecks

IMAGES = uint8_images(4)
FLOATS = as_float(IMAGES)


class Batches(keras.utils.PyDataset):
    def __init__(self, images):
        super().__init__()
        self.images = images
        self.read = []

    def __len__(self):
        return len(self.images) // 2

    def __getitem__(self, index):
        self.read.append(index)
        return (self.images[2 * index : 2 * index + 2],)


def generator(images):
    for start in range(0, len(images), 2):
        yield (images[start : start + 2],)


def compiled_model():
    model = patch_vqgan()
    model.compile("sgd")
    return model


@pytest.fixture(scope="module")
def model():
    return compiled_model()


def assert_refused(data, error, match):
    # A model of its own: on JAX an error in an epoch leaves it without
    # weights.
    with pytest.raises(error, match=match):
        compiled_model().fit(data, verbose=0)


@pytest.mark.parametrize("call", ["fit", "evaluate", "predict"])
@pytest.mark.parametrize(
    "images, error, match",
    [
        (FLOATS * 127.5, ValueError, r"lie in \[-1, 1\].*uint8.*max=1"),
        (FLOATS * np.inf, ValueError, "finite"),
        (IMAGES.astype("int32"), TypeError, "must be uint8.*int32"),
        (IMAGES[0], ValueError, r"Received: shape=\(16, 16, 3\)"),
        (IMAGES[..., :1], ValueError, r"\(batch, height, width, 3\)"),
        (IMAGES[:, :14], ValueError, "multiples of 4.*14"),
    ],
)
def test_wrong_pictures_are_refused_before_training(
    model, call, images, error, match
):
    with pytest.raises(error, match=match):
        getattr(model, call)(images, verbose=0)
    with pytest.raises(error, match="`validation_data`"):
        model.fit(IMAGES, validation_data=(images,), verbose=0)


def test_pictures_as_tensors_and_of_other_sizes_are_taken(model):
    for images in (
        ops.convert_to_tensor(FLOATS),
        uint8_images(4, side=8),
        as_float(uint8_images(4, side=24)),
    ):
        model.fit(images, batch_size=4, validation_data=(IMAGES,), verbose=0)
    with pytest.raises(ValueError, match="max=1"):
        model.fit(ops.convert_to_tensor(FLOATS * 127.5), verbose=0)


@pytest.mark.parametrize("stream", [Batches, generator])
def test_a_stream_is_checked_on_its_way(model, stream):
    assert_refused(stream(FLOATS * 127.5), ValueError, "lie in .-1, 1")
    logs = [
        model.evaluate(data, batch_size=2, verbose=0, return_dict=True)
        for data in (IMAGES, FLOATS)
    ]
    for images in (IMAGES, FLOATS):
        logs.append(model.evaluate(stream(images), verbose=0, return_dict=True))
    # No batch was left out.
    for found in logs[1:]:
        assert found["loss"] == pytest.approx(logs[0]["loss"], rel=1e-4)


def test_a_stream_is_not_read_ahead(model):
    batches = Batches(FLOATS)
    model.fit(batches, verbose=0, shuffle=False)
    # Keras looks at the first one itself.
    assert sorted(set(batches.read)) == [0, 1]
    plain = Batches(FLOATS)
    keras.Model.fit(model, plain, verbose=0, shuffle=False)
    assert batches.read == plain.read


@pytest.mark.skipif(
    keras.config.backend() == "torch", reason="TensorFlow need not be there"
)
def test_a_dataset_of_tensorflow_is_checked_on_its_way(model):
    tf = pytest.importorskip("tensorflow")
    dataset = tf.data.Dataset.from_tensor_slices(FLOATS).batch(2)
    model.fit(dataset, verbose=0)
    model.fit(dataset.map(lambda images: (images,)), verbose=0)
    for change, error, match in (
        (lambda images: images * 127.5, ValueError, "lie in .-1, 1.*max=1"),
        (lambda images: tf.cast(images, "int32"), TypeError, "uint8.*int32"),
        (lambda images: images[:, :14], ValueError, "multiples of 4"),
    ):
        assert_refused(dataset.map(change), error, match)


def test_only_the_first_batches_of_a_stream_are_looked_at(model):
    images = np.concatenate([FLOATS] * 3)
    images[-1] *= 127.5
    batches = Batches(images)
    checked = ImageChecks(4, 3).run(lambda x: x, batches)
    for number in range(len(batches)):
        checked[number]
    with pytest.raises(ValueError, match="max=1"):
        ImageChecks(4, 3).run(lambda x: x, images)


def test_numbers_that_are_missing_are_told_and_trained_on():
    images = FLOATS.copy()
    images[0, 0, 0] = np.nan
    with pytest.warns(UserWarning, match="`x` has values that are not numbers"):
        compiled_model().fit(images, verbose=0)


def test_a_call_on_pictures_of_another_range_is_refused(model):
    with pytest.raises(ValueError, match="`images` must be finite.*max=1"):
        model(ops.convert_to_tensor(FLOATS * 127.5))


def test_weights_of_pictures_are_refused():
    weights = np.ones(len(IMAGES))
    with pytest.raises(ValueError, match="`sample_weight` must be None"):
        compiled_model().fit(IMAGES, sample_weight=weights, verbose=0)


def test_a_call_with_integers_is_refused(model):
    with pytest.raises(TypeError, match="must be uint8"):
        model(ops.convert_to_tensor(IMAGES.astype("int32")))
