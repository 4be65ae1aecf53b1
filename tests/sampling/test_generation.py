import threading

import numpy as np
import pytest
from small_generators import small_generator

from keras_bidalle.sampling import generation


@pytest.fixture(scope="module")
def generator():
    return small_generator()


def make_text(rows):
    text = np.random.default_rng(0).integers(3, 11, (rows, 6))
    return text.astype("int32")


@pytest.mark.parametrize("rows", [1, 4, 11])
def test_rows_drawn_by_several_threads_are_those_of_one(
    generator, rows, monkeypatch
):
    text = make_text(rows)
    seeds = list(range(rows))
    monkeypatch.setattr(generation, "calls_at_once", lambda rows: 1)
    alone = generator.generate_codes(text, seed=seeds, batch_size=4)
    monkeypatch.setattr(generation, "calls_at_once", lambda rows: min(3, rows))
    done = []
    together = generator.generate_codes(
        text, seed=seeds, batch_size=4, progress=done.append
    )
    np.testing.assert_array_equal(together, alone)
    assert done == sorted(done) and done[-1] == rows


def test_an_error_in_a_thread_reaches_the_caller_and_ends_the_rest():
    drawn, first = [], threading.Event()

    def draw(rows):
        drawn.append(rows)
        if rows[0] == 0:
            first.set()
            raise RuntimeError("broken")
        first.wait()
        return rows

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(generation, "calls_at_once", lambda rows: 2)
        with pytest.raises(RuntimeError, match="broken"):
            list(generation.in_threads(draw, 1000, 2))
    assert len(drawn) < 1000
