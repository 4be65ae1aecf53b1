import numpy as np
import pytest

from keras_bidalle.training import epoch_shuffled


def test_each_epoch_holds_each_item_once_in_another_order():
    indices = epoch_shuffled(num_items=10, batch_size=5, seed=0)
    epochs = [
        np.concatenate([indices(step) for step in steps])
        for steps in ((0, 1), (2, 3))
    ]
    for epoch in epochs:
        np.testing.assert_array_equal(np.sort(epoch), np.arange(10))
    assert not np.array_equal(*epochs)


def test_the_shuffle_depends_on_the_step_alone():
    forward = epoch_shuffled(num_items=11, batch_size=3, seed=5)
    batches = [forward(step) for step in range(9)]
    other = epoch_shuffled(num_items=11, batch_size=3, seed=5)
    for step in reversed(range(9)):
        np.testing.assert_array_equal(other(step), batches[step])


@pytest.mark.parametrize("batch_size", [0, 11])
def test_a_batch_size_beyond_the_items_is_refused(batch_size):
    with pytest.raises(ValueError, match="`batch_size` must lie in"):
        epoch_shuffled(num_items=10, batch_size=batch_size, seed=0)
