"""Shuffled epochs, addressed by the step.

With `keras_bidalle.data.as_dataset` batch i depends on i alone, so a run that
was cut goes on with the batch it would have seen. This is the shuffle that
fits it.
"""

import numpy as np


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
    stream = as_dataset(lambda step: images[indices(step)])
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
