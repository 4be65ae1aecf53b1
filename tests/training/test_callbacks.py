import keras
import numpy as np
import pytest
from small_runs import batch, small_model, stream
from tensorboard.backend.event_processing.event_accumulator import (
    EventAccumulator,
)

from keras_bidalle.training import (
    ImageSummaries,
    ScalarSummaries,
    SummaryWriter,
    TextSummaries,
)


def fit(callbacks, model=None, epochs=3):
    model = model or small_model()
    model.fit(
        stream(0),
        epochs=epochs,
        steps_per_epoch=5,
        verbose=0,
        validation_data=batch(99),
        callbacks=callbacks,
    )
    return model


def read(folder):
    events = EventAccumulator(str(folder), size_guidance={"images": 0})
    events.Reload()
    return events


def test_fit_is_logged_by_the_global_step(tmp_path):
    with SummaryWriter(tmp_path) as writer:
        model = fit([ScalarSummaries(writer, every_steps=2)])
    events = read(tmp_path)
    assert set(events.Tags()["scalars"]) == {
        "train/loss",
        "train/mae",
        "epoch/loss",
        "epoch/mae",
        "epoch/learning_rate",
        "validation/loss",
        "validation/mae",
    }
    steps = [e.step for e in events.Scalars("train/loss")]
    assert steps == [2, 4, 6, 8, 10, 12, 14]
    epochs = events.Scalars("epoch/loss")
    assert [e.step for e in epochs] == [5, 10, 15]
    np.testing.assert_allclose(
        [e.value for e in epochs], model.history.history["loss"], rtol=1e-6
    )


def test_several_optimizers_are_logged_without_a_learning_rate(tmp_path):
    mapping = keras.optimizers.OptimizerMap(
        keras.optimizers.Adam(), {".*bias.*": keras.optimizers.SGD()}
    )
    model = small_model(keras.optimizers.MultiOptimizer(mapping))
    with SummaryWriter(tmp_path) as writer:
        fit([ScalarSummaries(writer)], model, epochs=1)
    assert "epoch/learning_rate" not in read(tmp_path).Tags()["scalars"]


@pytest.mark.parametrize("shape", [(8, 8, 3), (2, 4, 8, 3)])
def test_pictures_are_logged_at_epoch_ends_and_at_the_last(tmp_path, shape):
    def pictures():
        return np.zeros(shape, "uint8")

    with SummaryWriter(tmp_path) as writer:
        fit([ImageSummaries(writer, pictures, "samples", every_epochs=2)])
    steps = [e.step for e in read(tmp_path).Images("samples")]
    assert steps == [10, 15]


def test_a_picture_function_may_use_the_model(tmp_path):
    model = small_model()

    def picture():
        value = float(np.mean(model.predict(batch(0)[0], verbose=0)))
        return np.full((2, 2, 3), int(abs(value)), "uint8")

    with SummaryWriter(tmp_path) as writer:
        fit([ImageSummaries(writer, picture, "samples")], model)
    assert len(read(tmp_path).Images("samples")) == 3


def test_texts_are_logged_as_a_list(tmp_path):
    with SummaryWriter(tmp_path) as writer:
        texts = TextSummaries(writer, lambda: ["red 3", "blue 4"], "captions")
        fit([texts], epochs=1)
    (event,) = read(tmp_path).Tensors("captions")
    assert event.tensor_proto.string_val[0] == b"- red 3\n- blue 4"
