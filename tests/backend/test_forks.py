"""A forked process samples, or says why it cannot; it never hangs."""

import multiprocessing

import keras
import numpy as np
import pytest
from keras import ops

from keras_bidalle.backend.compiled import compiled, in_batches, row_batches

# Large enough for PyTorch to share it among threads.
X = np.random.default_rng(0).normal(size=(4, 512, 512)).astype("float32")


def answer(function, queue):
    try:
        queue.put(float(ops.convert_to_numpy(function(X)).sum()))
    except Exception as error:
        queue.put(f"{type(error).__name__}: {error}")


@pytest.mark.filterwarnings("ignore:.*fork")
def test_a_forked_process_computes_or_tells():
    dense = keras.layers.Dense(512)
    dense.build(X.shape)
    function = compiled(lambda x: dense(x), [dense])
    expected = float(ops.convert_to_numpy(function(X)).sum())
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=answer, args=(function, queue), daemon=True)
    child.start()
    try:
        found = queue.get(timeout=60)
    finally:
        child.kill()
        child.join()
    if keras.backend.backend() == "torch":
        assert found == pytest.approx(expected, rel=1e-3)
    else:
        assert found.startswith("RuntimeError: This process was forked")
        assert "'spawn'" in found and len(found) <= 300 and "\n" not in found
    # The process that forked it goes on.
    assert float(ops.convert_to_numpy(function(X)).sum()) == expected


@pytest.mark.filterwarnings("ignore:.*fork")
def test_rows_in_batches_are_looked_after_too():
    assert [rows.tolist() for rows, _ in row_batches(3, 4)] == [[0, 1, 2, 2]]
    doubled = in_batches(
        compiled(lambda x: 2 * x, []),
        np.arange(3.0, dtype="float32"),
        4,
        np.asarray,
        np.zeros(0, "float32"),
    )
    np.testing.assert_array_equal(doubled, [0, 2, 4])
