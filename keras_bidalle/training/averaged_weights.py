"""Moving averages of weights, where a model is judged and used."""

import contextlib
from collections.abc import Iterator

import keras
from keras import ops

from keras_bidalle.backend.optimizers import averages, keeps_averages


@contextlib.contextmanager
def averaged_weights(model: keras.Model) -> Iterator[None]:
    """A context in which a model has the averages of its weights.

    Codebooks that are averages themselves, and other weights that no
    optimizer trains, stay as they are.

    Args:
        model: a compiled `keras.Model`, trained for at least a step with an
            optimizer that has `use_ema=True`, or several of which at least
            one has.

    Raises:
        ValueError: if no optimizer has averages, or none yet.

    Example:

    ```python
    generator.compile(keras.optimizers.Adam(1e-3, use_ema=True))
    generator.fit(batches)
    with keras_bidalle.training.averaged_weights(generator):
        generator.save_to_preset("averaged")
    ```
    """
    if not keeps_averages(model.optimizer):
        raise ValueError(
            "`model` must be compiled with an optimizer that keeps averages: "
            f"`use_ema=True`. Received: {type(model.optimizer).__name__} "
            "without."
        )
    if not int(ops.convert_to_numpy(model.optimizer.iterations)):
        raise ValueError(
            "`model` has no averages yet: train it for a step first. "
            "Received: iterations=0"
        )
    pairs = averages(model.optimizer)
    trained = [ops.convert_to_numpy(weight).copy() for weight, _ in pairs]
    try:
        for weight, average in pairs:
            weight.assign(ops.convert_to_numpy(average))
        yield
    finally:
        for (weight, _), value in zip(pairs, trained, strict=True):
            weight.assign(value)


class EvaluateAveraged(keras.callbacks.Callback):
    """Validates, evaluates and predicts with the averages of the weights.

    Training goes on with the weights themselves. (At its very end `fit`
    puts the averages in for good, as `use_ema` says.)

    Example:

    ```python
    model.fit(x, validation_data=y, callbacks=[EvaluateAveraged()])
    ```
    """

    def __init__(self) -> None:
        super().__init__()
        self._inside = contextlib.ExitStack()

    def _enter(self, logs: dict | None = None) -> None:
        # What an error cut short is over now.
        self._inside.close()
        self._inside.enter_context(averaged_weights(self.model))

    def _leave(self, logs: dict | None = None) -> None:
        self._inside.close()

    def on_train_end(self, logs: dict | None = None) -> None:
        # On JAX `fit` leaves one array in both, and the next step would fail
        # where it gives away the same one twice.
        for weight, _ in averages(self.model.optimizer):
            weight.assign(ops.convert_to_numpy(weight).copy())

    on_test_begin = on_predict_begin = _enter
    on_test_end = on_predict_end = _leave
