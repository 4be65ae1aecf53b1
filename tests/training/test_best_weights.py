import keras
import numpy as np
import pytest
from small_runs import STEPS_PER_EPOCH, batch, small_model, stream

from keras_bidalle.training import (
    EvaluateAveraged,
    HeldOutFigures,
    KeepBest,
    ResumableCheckpoint,
    resumable_fit,
)

HELD_OUT = tuple(np.concatenate([a] * 2) for a in batch(99))


def run(folder, callbacks, epochs=4, model=None, **kwargs):
    keras.utils.set_random_seed(1)
    model = model or small_model()
    history = resumable_fit(
        model,
        stream,
        ResumableCheckpoint(folder),
        epochs=epochs,
        steps_per_epoch=STEPS_PER_EPOCH,
        callbacks=callbacks,
        **kwargs,
    )
    return model, history


def figures(values):
    left = iter(values)
    return HeldOutFigures(lambda: {"figure": next(left)})


class Weights(keras.callbacks.Callback):
    """What the model has at the end of each epoch."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def on_epoch_end(self, epoch, logs=None):
        self.seen.append([np.array(w) for w in self.model.get_weights()])


@pytest.mark.parametrize("mode,best", [("min", 1), ("max", 2)])
def test_the_best_weights_are_put_back(tmp_path, mode, best):
    seen, keep = Weights(), KeepBest("val_figure", mode)
    model, history = run(tmp_path, [figures([2.0, 1.0, 4.0, 3.0]), keep, seen])
    assert [row["val_figure"] for row in history] == [2, 1, 4, 3]
    keep.put_back()
    assert keep.best_epoch == best
    for expected, found in zip(
        seen.seen[best], model.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(expected, found)


def test_a_run_ends_when_it_gets_no_better(tmp_path):
    values = [3.0, 2.0, 2.5, 2.0, 1.0]
    keep = KeepBest("val_figure", patience=2)
    _, history = run(tmp_path, [figures(values), keep], epochs=5)
    assert len(history) == 4 and keep.best == 2.0
    # Going on is no reason to try once more.
    again = KeepBest("val_figure", patience=2)
    _, history = run(tmp_path, [figures([]), again], epochs=5)
    assert len(history) == 4 and again.best == 2.0


def test_with_more_patience_a_run_goes_on(tmp_path):
    def keep(patience):
        return KeepBest("val_figure", patience=patience)

    run(tmp_path, [figures([2.0, 3.0]), keep(1)], epochs=5)
    longer = keep(2)
    _, history = run(tmp_path, [figures([3.0]), longer], epochs=5)
    assert len(history) == 3 and longer.best == 2.0
    _, history = run(tmp_path, [figures([3.0, 1.0])], epochs=5)
    assert len(history) == 5


def test_a_resumed_run_remembers_its_best(tmp_path):
    keep = KeepBest("val_loss")
    whole, _ = run(tmp_path / "whole", [keep], validation_data=HELD_OUT)
    first = KeepBest("val_loss")
    run(tmp_path / "cut", [first], epochs=2, validation_data=HELD_OUT)
    then = KeepBest("val_loss")
    cut, _ = run(tmp_path / "cut", [then], validation_data=HELD_OUT)
    assert (keep.best_epoch, keep.waited) == (then.best_epoch, then.waited)
    for one in (keep, then):
        one.put_back()
    weights = zip(whole.get_weights(), cut.get_weights(), strict=True)
    for expected, found in weights:
        np.testing.assert_allclose(expected, found, rtol=1e-5, atol=1e-6)


def test_averages_are_what_is_judged_and_kept(tmp_path):
    model = small_model(keras.optimizers.Adam(0.05, use_ema=True))
    judged = []

    def measure():
        judged.append([np.array(w) for w in model.get_weights()])
        return {"figure": len(judged)}

    keep = KeepBest("val_figure")
    run(
        tmp_path,
        [EvaluateAveraged(), HeldOutFigures(measure), keep],
        model=model,
        epochs=2,
    )
    keep.put_back()
    for expected, found in zip(judged[0], model.get_weights(), strict=True):
        np.testing.assert_array_equal(expected, found)


def test_figures_come_every_few_epochs_and_at_the_end(tmp_path):
    calls = []

    def measure():
        calls.append(1)
        return {"figure": 1.0}

    _, history = run(tmp_path, [HeldOutFigures(measure, 3)], epochs=4)
    assert ["val_figure" in row for row in history] == [
        *(False, False, True, True),
    ]


def test_what_is_no_number_is_never_the_best(tmp_path):
    keep = KeepBest("val_figure")
    run(tmp_path, [figures([np.nan, 2.0, np.nan]), keep], epochs=3)
    assert keep.best == 2.0


def test_a_figure_that_nobody_knows_is_told(tmp_path):
    keep = KeepBest("val_psnr")
    with pytest.raises(ValueError, match="must be one of val_figure"):
        run(tmp_path, [figures([1.0]), keep], epochs=1)


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match="`mode` must be"):
        KeepBest("val_loss", "lowest")
    with pytest.raises(ValueError, match="`patience` must be"):
        KeepBest("val_loss", patience=0)
    with pytest.raises(ValueError, match="`every_epochs` must be"):
        HeldOutFigures(dict, 0)
