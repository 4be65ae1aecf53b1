"""`fit` that starts at any step.

Keras can start `fit` at an epoch, not inside one. The rest of a cut epoch, the
epochs after it, and a last one of another length are calls of `fit` that look
like one to callbacks.
"""

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

import keras

from keras_bidalle.backend.keras_trainer import make_metrics
from keras_bidalle.validation import check_positive


def resumable_fit(
    model: keras.Model,
    batches: Callable[[int], Any],
    checkpoint: Any,
    epochs: int,
    steps_per_epoch: int,
    callbacks: Sequence[Any] = (),
    verbose: Any = 0,
    last_steps: int | None = None,
    **kwargs: Any,
) -> list[dict]:
    """Trains with `model.fit` from the last checkpoint to the end.

    Args:
        model: a built and compiled `keras.Model`.
        batches: callable from an int to what `fit` takes as `x` (a
            `tf.data.Dataset`, a `keras.utils.PyDataset`): the run's batches
            from that step on, at least as many as are left, in their
            order: `shuffle` is off.
        checkpoint: a `ResumableCheckpoint`. What it holds is gone on from;
            `checkpoint.clear()` starts anew.
        epochs: int, epochs of the whole run.
        steps_per_epoch: int, steps in each.
        callbacks: list of `keras.callbacks.Callback`. They see one run whose
            batch numbers go on where the run was cut.
        verbose: as in `fit`; 0 leaves the progress to
            `keras_bidalle.training.RunProgress`.
        last_steps: int, steps of the last epoch, where they are others: what
            is left of a run whose length its epochs do not divide.
        **kwargs: further arguments of `fit`, such as `validation_data`.

    Raises:
        Preempted: a `SystemExit` with status 143, once a SIGTERM has come
            and its step is saved.

    Returns:
        list of dicts, one for each epoch of the whole run: `epoch` (from 0),
        `step` (at its end), and the logs.

    Example:

    ```python
    history = resumable_fit(
        model,
        lambda step: keras_bidalle.data.as_dataset(make_batch, step),
        ResumableCheckpoint("runs/first/checkpoints"),
        epochs=50,
        steps_per_epoch=200,
    )
    ```
    """
    last_steps = steps_per_epoch if last_steps is None else last_steps
    lengths = {"steps_per_epoch": steps_per_epoch, "last_steps": last_steps}
    check_positive(epochs=epochs, **lengths)
    checkpoint.callbacks = list(callbacks)
    checkpoint.validates = kwargs.get("validation_data") is not None
    with checkpoint.alone():
        step = checkpoint.restore(model)
        one_run = _OneRun(
            [*callbacks, checkpoint],
            add_history=True,
            add_progbar=verbose != 0,
            model=model,
            verbose=verbose,
            epochs=epochs,
            steps=steps_per_epoch,
            last_steps=last_steps,
        )
        epoch = min(step // steps_per_epoch, epochs - 1)
        one_run.offset = step - epoch * steps_per_epoch
        if epoch + 1 == epochs and one_run.offset >= last_steps:
            epoch, one_run.offset = epochs, 0

        def fit(first, end):
            steps = last_steps if end == epochs else steps_per_epoch
            model.fit(
                batches(first * steps_per_epoch + one_run.offset),
                initial_epoch=first,
                epochs=end,
                steps_per_epoch=steps - one_run.offset,
                callbacks=one_run,
                verbose=verbose,
                shuffle=False,
                **kwargs,
            )

        try:
            one_run.begin()
            checkpoint.restore_callbacks()
            ended = checkpoint.stopped
            if one_run.offset and epoch < epochs and not ended:
                # The cut epoch is read into them.
                make_metrics(model, lambda: _first_batch(batches(step)))
                with _averages_left_apart(model.optimizer):
                    fit(epoch, epoch + 1)
                epoch, one_run.offset = epoch + 1, 0
                ended = model.stop_training
            if last_steps != steps_per_epoch and epoch + 1 < epochs:
                # Of one length; the last one is another call.
                if not ended:
                    with _averages_left_apart(model.optimizer):
                        fit(epoch, epochs - 1)
                    epoch, ended = epochs - 1, model.stop_training
            if epoch < epochs and not ended:
                fit(epoch, epochs)
            else:
                # The last checkpoint was before what `fit` does at its end.
                model.optimizer.finalize_variable_values(
                    model.trainable_variables
                )
            one_run.end()
        finally:
            checkpoint.stop_signals.end()
    return checkpoint.history


def _first_batch(data):
    is_indexed = isinstance(data, keras.utils.PyDataset)
    return data[0] if is_indexed else next(iter(data))


class _OneRun(keras.callbacks.CallbackList):
    """Several calls of `fit`, one run for the callbacks."""

    offset = 0
    _logs = None

    def begin(self):
        super().on_train_begin()

    def end(self):
        super().on_train_end(self._logs)

    def on_train_begin(self, logs=None):
        pass

    def on_train_end(self, logs=None):
        self._logs = logs

    def on_train_batch_begin(self, batch, logs=None):
        super().on_train_batch_begin(batch + self.offset, logs)

    def on_train_batch_end(self, batch, logs=None):
        super().on_train_batch_end(batch + self.offset, logs)


@contextlib.contextmanager
def _averages_left_apart(optimizer):
    """Keeps `use_ema` from moving its averages into the weights too early.

    `fit` does so whenever it ends; here the run goes on.
    """
    optimizer.finalize_variable_values = lambda variables: None
    try:
        yield
    finally:
        del optimizer.finalize_variable_values
