"""What `fit` heeds, and what it refuses because it would not."""

import keras
import numpy as np
import pytest
from small_generators import small_generator
from small_models import CAPTIONS, small_model

from keras_bidalle.generators.training_rows import RowChecks

ROWS = {
    "text": np.array([[1, 5, 6, 7, 2, 0]] * 4, "int32"),
    "codes": np.arange(16).reshape(4, 2, 2) % 7,
    "text_to_image": np.arange(4) < 2,
}


def make_generator():
    generator = small_generator()
    generator.compile("adam")
    return generator


@pytest.mark.parametrize(
    "name,value",
    [
        ("loss", "mse"),
        ("metrics", ["accuracy"]),
        ("loss_weights", [1.0]),
        ("weighted_metrics", ["accuracy"]),
    ],
)
def test_a_loss_beside_its_own_is_refused(name, value):
    with pytest.raises(ValueError, match=f"`{name}` must be None"):
        make_generator().compile("adam", **{name: value})


@pytest.mark.parametrize(
    "name,value",
    [
        ("sample_weight", np.zeros(4)),
        ("class_weight", {0: 0.0}),
        ("y", np.zeros(4)),
    ],
)
def test_weights_of_rows_and_labels_are_refused(name, value):
    with pytest.raises(ValueError, match=f"`{name}` must be None"):
        make_generator().fit(ROWS, verbose=0, **{name: value})


def test_weights_in_a_stream_are_refused():
    def batches():
        yield ROWS, None, np.zeros(4)

    with pytest.raises(ValueError, match="`sample_weight` must be None"):
        make_generator().fit(batches(), steps_per_epoch=1, verbose=0)


@pytest.mark.parametrize("name,by", [("codes", 7), ("codes", -1), ("text", 12)])
def test_tokens_that_are_none_are_refused(name, by):
    with pytest.raises(ValueError, match=f"`{name}` must lie in"):
        make_generator().fit({**ROWS, name: ROWS[name] + by}, verbose=0)


class Rows(keras.utils.PyDataset):
    """A batch of rows after another, of which the second may be damaged."""

    def __init__(self, damage):
        super().__init__()
        self.damage = damage

    def __len__(self):
        return 2

    def __getitem__(self, index):
        return {**ROWS, "codes": ROWS["codes"] + index * self.damage}


@pytest.mark.parametrize("name", ["x", "validation_data"])
def test_codes_that_are_none_are_refused_in_a_stream_too(name):
    generator = make_generator()
    generator.fit(Rows(0), validation_data=Rows(0), verbose=0)
    with pytest.raises(ValueError, match=r"`codes` must lie in \[0, 7\)"):
        generator.fit(**{"x": Rows(0), name: Rows(7)}, verbose=0)
    batches = (Rows(-7)[index] for index in (0, 1))
    with pytest.raises(ValueError, match=r"`codes` must lie in \[0, 7\)"):
        generator.fit(batches, steps_per_epoch=2, verbose=0)


@pytest.mark.skipif(
    keras.config.backend() == "torch", reason="TensorFlow need not be there"
)
@pytest.mark.parametrize("name", ["x", "validation_data"])
def test_codes_of_a_dataset_of_tensorflow_are_checked_on_their_way(name):
    tf = pytest.importorskip("tensorflow")

    def dataset(damage, key="codes"):
        def damaged(number, rows):
            return {**rows, key: rows[key] + damage * tf.cast(number, "int32")}

        rows = {**ROWS, "codes": ROWS["codes"].astype("int32")}
        whole = tf.data.Dataset.from_tensor_slices(rows).batch(2)
        return whole.enumerate().map(damaged)

    checks = RowChecks(make_generator())
    plain, checked = dataset(0), checks.checked(dataset(0))
    for before, after in zip(plain, checked, strict=True):
        assert before.keys() == after.keys()
        for key, value in before.items():
            np.testing.assert_array_equal(value, after[key])
    for damage, key, match in (
        (7, "codes", r"`codes` must lie in \[0, 7\). Received: min=7, max=13"),
        (-9, "text", r"`text` must lie in \[0, 12\). Received: min=-9, max=-2"),
    ):
        with pytest.raises(ValueError, match=match), checks.told():
            list(checks.checked(dataset(damage, key)))
    with pytest.raises(TypeError, match="`codes` must be integers"):
        checks.checked(plain.map(lambda rows: {"codes": rows["codes"] / 2}))
    with pytest.raises(ValueError, match=r"`codes` must lie in \[0, 7\)"):
        make_generator().fit(
            **{"x": dataset(7 * (name == "x")), name: dataset(7)}, verbose=0
        )


def test_the_whole_model_trains_its_generator():
    model = small_model("plain")
    images = np.zeros((2, 16, 16, 3), "uint8")
    kept = model.image_tokenizer.get_weights()
    model.compile(keras.optimizers.Adam(1e-2))
    rows = {"captions": CAPTIONS, "images": images}
    history = model.fit(rows, epochs=3, verbose=0, validation_data=rows)
    losses = history.history["loss"]
    assert losses[-1] < losses[0] and "val_loss" in history.history
    assert model.evaluate(rows, verbose=0, return_dict=True)["loss"] > 0
    for before, after in zip(
        kept, model.image_tokenizer.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(before, after)
    with pytest.raises(ValueError, match="`captions` and `images`"):
        model.fit({"captions": CAPTIONS, "images": images[:1]}, verbose=0)
