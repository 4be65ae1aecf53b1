import keras
import numpy as np

from keras_bidalle.data import BatchStream, as_dataset


def numbers(index):
    rng = np.random.default_rng((7, index))
    return {
        "x": rng.random((4, 2), dtype="float32"),
        "n": np.full((4,), index, "int32"),
    }


def take(dataset, count):
    batches = []
    for batch in dataset:
        batches.append({k: np.asarray(v) for k, v in batch.items()})
        if len(batches) == count:
            break
    return batches


def test_batches_depend_on_their_number_alone():
    whole = take(as_dataset(numbers), 6)
    resumed = take(as_dataset(numbers, start=4), 2)
    for batch, again in zip(whole[4:], resumed, strict=True):
        np.testing.assert_array_equal(batch["x"], again["x"])
        np.testing.assert_array_equal(batch["n"], again["n"])
    assert [batch["n"][0] for batch in whole] == list(range(6))


def test_the_backend_s_dataset_has_the_stream_s_batches():
    stream = BatchStream(numbers, start=2)
    for i, batch in enumerate(take(as_dataset(numbers, start=2), 3)):
        np.testing.assert_array_equal(batch["x"], stream[i]["x"])


def test_a_finite_stream_ends_and_begins_again():
    dataset = as_dataset(numbers, num_batches=3)
    for _ in range(2):
        assert [b["n"][0] for b in take(dataset, 9)] == [0, 1, 2]


class Recorder(keras.Model):
    """Counts, and sums the numbers of the batches that it is shown."""

    def __init__(self):
        super().__init__()
        self.steps = self.add_weight(initializer="zeros", trainable=False)
        self.total = self.add_weight(initializer="zeros", trainable=False)
        self.scale = self.add_weight(initializer="ones")

    def call(self, inputs, training=None):
        number = keras.ops.cast(inputs["n"][0], "float32")
        if training:
            self.steps.assign_add(1.0)
            self.total.assign_add(number)
        return inputs["x"] * self.scale

    def compute_loss(self, x, y, y_pred, sample_weight, training=True):
        return keras.ops.mean(y_pred)


def test_fit_sees_each_batch_once_over_the_epochs():
    model = Recorder()
    model.compile("sgd")
    dataset = as_dataset(numbers, start=10)
    model.fit(dataset, steps_per_epoch=3, epochs=2, verbose=0, shuffle=False)
    assert float(model.steps) == 6
    assert float(model.total) == 10 + 11 + 12 + 13 + 14 + 15


def test_arrays_alone_and_pairs_pass_through():
    pair = as_dataset(lambda i: (np.full((2, 3), i, "uint8"), np.ones(2)))
    for i, (x, y) in enumerate(pair):
        assert np.asarray(x).tolist() == [[i] * 3] * 2
        assert np.asarray(y).tolist() == [1, 1]
        if i == 2:
            break
    alone = as_dataset(lambda i: np.full((2, 3), i, "uint8"), start=5)
    for x in alone:
        assert np.asarray(x)[0, 0] == 5
        break
