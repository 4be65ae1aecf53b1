"""Training that goes on when workers go and come, with Horovod.

What `hvd.elastic` knows of Keras is Keras 2. Its loop drives `resumable_fit`:
after a change all workers take the state that was last committed to memory.
"""

import contextlib
import pathlib
from collections.abc import Callable
from typing import Any

import keras

from keras_bidalle.backend.optimizers import synchronized
from keras_bidalle.training.checkpoints import ResumableCheckpoint
from keras_bidalle.training.fitting import resumable_fit
from keras_bidalle.training.horovod_state import broadcast_state
from keras_bidalle.training.run_state import as_array
from keras_bidalle.training.stop_signals import Preempted
from keras_bidalle.validation import check_positive


class ElasticCheckpoint(ResumableCheckpoint):
    """A `ResumableCheckpoint` that also keeps the last state in memory.

    The first process still writes to the disk, for the day when all workers
    die. A worker that gets SIGTERM ends after its step, with 143, and the
    others go on from the last commit without it; the last one that is left
    saves first.

    Args:
        folder, every_seconds, every_steps, keep, stop_signals: as of
            `ResumableCheckpoint`.
        commit_steps: int, steps between commits to memory. What came after
            the last one is trained again when a worker is lost.

    Raises:
        ValueError: if an argument is out of range.
    """

    def __init__(
        self, folder: str | pathlib.Path, commit_steps: int = 10, **kwargs: Any
    ) -> None:
        super().__init__(folder, **kwargs)
        check_positive(commit_steps=commit_steps)
        self.commit_steps = commit_steps
        # Looks for workers that went or came; `elastic_fit` sets it.
        self.look_around = lambda: None
        self._committed: Any = None

    def restore(self, model: keras.Model) -> int:
        # `synchronize` has put the common state into the model.
        return self._committed[0]["step"]

    def synchronize(self, model: keras.Model, hvd: Any) -> None:
        """Gives all workers the first one's last state."""
        self._check(model)
        self.set_model(model)
        if hvd.rank() == 0 and self._committed is None:
            # Everyone is new: what the disk has, or the very beginning.
            self._put_back(model, self._saved.read_newest())
            self._commit(self._saved_step)
        kept = self._committed and self._committed[0]
        state = hvd.broadcast_object(kept, root_rank=0)
        broadcast_state(model)
        self._take(state)
        self._commit(state["step"])

    def roll_back(self) -> None:
        """Puts the last committed state back, after a step that failed."""
        if self._committed is None:
            return
        state, arrays = self._committed
        variables = self._variables()
        for variable, array in zip(variables, arrays, strict=True):
            variable.assign(array)
        self._take(state)

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        super().on_train_batch_end(batch, logs)
        step = self.steps_done(batch)
        in_epoch = batch + 1 < self.epoch_steps
        if in_epoch and step % self.commit_steps == 0:
            self._commit(step)
            self.look_around()

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        super().on_epoch_end(epoch, logs)
        self._commit(self.steps_done(self.epoch_steps - 1))
        self.look_around()

    def _must_stop(self):
        return self.stop_signals.received is not None

    def _stop(self):
        raise Preempted(self.stop_signals.received)

    def _variables(self):
        return [*self.model.variables, *self.model.optimizer.variables]

    def _commit(self, step):
        state = {
            "step": step,
            "history": list(self.history),
            "stopped": bool(self.model.stop_training) or self.stopped,
        }
        self._committed = state, [as_array(v).copy() for v in self._variables()]

    def _take(self, state):
        self.history = list(state["history"])
        self.stopped = state["stopped"]
        self._saved_step = state["step"]


def elastic_fit(
    model: keras.Model,
    batches: Callable[[int], Any],
    checkpoint: Any,
    epochs: int,
    steps_per_epoch: int,
    **kwargs: Any,
) -> list[dict]:
    """`resumable_fit` with workers that may go and come, under Horovod.

    Start it with `horovodrun --min-np 1 --max-np 8
    --host-discovery-script hosts.sh python program.py`. When a worker dies,
    the others go on from the last commit; when `hosts.sh` names a new one,
    it joins at the next. The run has the same steps and, with batches that
    share out a global batch, the same batches, however many take part. The
    state of other callbacks is each worker's own and begins anew with it.

    Args:
        model: a built and compiled `keras.Model`.
        batches: as in `resumable_fit`, of the rows of this process (see
            `keras_bidalle.data.own_rows`, to be called in it: the number of
            processes changes).
        checkpoint: an `ElasticCheckpoint`.
        epochs, steps_per_epoch, **kwargs: as in `resumable_fit`.

    Returns:
        As of `resumable_fit`.

    Raises:
        ValueError: if `checkpoint` is of another class.

    Example: `recipes/checks/elastic_test.py`.
    """
    if not isinstance(checkpoint, ElasticCheckpoint):
        raise ValueError(
            "`checkpoint` must be an `ElasticCheckpoint`. "
            f"Received: {type(checkpoint).__name__}"
        )
    import horovod.tensorflow as hvd
    from horovod.common.elastic import State, run_fn

    class RunState(State):
        """What Horovod's loop asks for, in terms of the checkpoint."""

        def save(self):
            pass  # the checkpoint commits by itself

        def restore(self):
            checkpoint.roll_back()

        def sync(self):
            checkpoint.synchronize(model, hvd)

    state = RunState(hvd.broadcast_object, hvd.rank)
    checkpoint.look_around = state.check_host_updates

    def train(state):
        # The old step is one for the old number of workers.
        model.train_function = model.test_function = None
        synchronized(model.optimizer)
        with _failures_told():
            return resumable_fit(
                model, batches, checkpoint, epochs, steps_per_epoch, **kwargs
            )

    def reset():
        hvd.shutdown()
        hvd.init()

    return run_fn(train, reset)(state)


@contextlib.contextmanager
def _failures_told():
    """Makes TensorFlow's errors of a lost worker those that Horovod knows."""
    import tensorflow as tf
    from horovod.common.exceptions import HorovodInternalError

    try:
        yield
    except tf.errors.OpError as error:
        if "orovod" not in error.message:
            raise
        raise HorovodInternalError(error.message) from error
