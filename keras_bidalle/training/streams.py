"""Training batches addressed by their number in the run.

When batch i depends on i alone, a run that was cut goes on with the batch it
would have seen, and no position in a data set has to be saved.
"""

import keras
import numpy as np


class StepBatches(keras.utils.PyDataset):
    """The batches of a run, from one step on without end.

    Without an end, because `fit` shuffles a `PyDataset` that has one unless
    told not to. `steps_per_epoch` says how long an epoch is.

    Args:
        function: callable from the step (int, from 0) to a batch as `fit`
            takes it: an array, a dict, or a tuple (x, y). It must depend on
            the step alone: `np.random.default_rng((seed, step))`.
        start: int, the first step.
        workers: int, threads that prepare batches; with 1 the batches are
            made between the training steps.
        max_queue_size: int, how many batches the threads may be ahead.

    Example:

    ```python
    def batch(step):
        rng = np.random.default_rng((seed, step))
        return images[rng.integers(0, len(images), 64)]

    model.fit(StepBatches(batch), steps_per_epoch=100, epochs=10)
    ```
    """

    def __init__(self, function, start=0, workers=1, max_queue_size=10):
        super().__init__(workers=workers, max_queue_size=max_queue_size)
        if not isinstance(start, int) or start < 0:
            raise ValueError(
                "`start` must be a non-negative integer. "
                f"Received: start={start}"
            )
        self.function = function
        self.start = start

    @property
    def num_batches(self):
        return None

    def __getitem__(self, index):
        return self.function(self.start + index)


def epoch_shuffled(num_items, batch_size, seed):
    """Shuffles anew each epoch, by the step alone.

    Args:
        num_items: int, how many items there are.
        batch_size: int, at most `num_items`; what is left over at an epoch's
            end is dropped (another part each epoch).
        seed: int.

    Returns:
        Callable from a step to int64 indices (batch_size,).

    Example:

    ```python
    indices = epoch_shuffled(len(images), batch_size=64, seed=0)
    stream = StepBatches(lambda step: images[indices(step)])
    ```
    """
    if not 1 <= batch_size <= num_items:
        raise ValueError(
            "`batch_size` must lie in [1, num_items]. Received: "
            f"batch_size={batch_size}, num_items={num_items}"
        )
    steps = num_items // batch_size
    last = {}

    def indices(step):
        epoch, position = divmod(step, steps)
        order = last.get(epoch)
        if order is None:
            order = np.random.default_rng((seed, epoch)).permutation(num_items)
            # One entry, replaced as a whole: workers may be an epoch apart.
            last.clear()
            last[epoch] = order
        return order[position * batch_size : (position + 1) * batch_size]

    return indices
