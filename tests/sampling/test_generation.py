import threading

import keras
import numpy as np
import pytest
from keras import ops
from small_generators import small_generator

from keras_bidalle.generators import row_uniforms
from keras_bidalle.sampling import generation
from keras_bidalle.sampling.decoders import Sequential

# Where each size is a program, one is enough.
SIZES = [1, 3, 64] if keras.config.backend() == "torch" else [3]


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

    with pytest.raises(RuntimeError, match="broken"):
        list(generation.in_threads(draw, 1000, 1, 2))
    assert len(drawn) < 1000


def prefilled_rows(monkeypatch, generator):
    """Rows of each prompt that is run from now on: a list that grows."""
    rows, prefill = [], type(generator.transformer).prefill

    def counted(self, x, *arguments):
        rows.append(x.shape[0])
        return prefill(self, x, *arguments)

    monkeypatch.setattr(type(generator.transformer), "prefill", counted)
    return rows


@pytest.mark.parametrize("batch_size", SIZES)
@pytest.mark.parametrize("guided", [False, True])
def test_samples_of_a_condition_are_those_of_its_copies(
    monkeypatch, guided, batch_size
):
    monkeypatch.setattr(generation, "calls_at_once", lambda rows: 1)
    generator = small_generator(
        condition_dropout=0.1, attention=("full", "conv_like"), depth=2
    )
    given = {"guidance_scale": 2.0} if guided else {}
    given |= {"temperature": 1.0, "num_samples": 5, "batch_size": batch_size}
    text = make_text(2)
    codes = generator.generate_codes(text, seed=[3, 4], **given)
    prime = codes.reshape(2, 5, 4, 1)[:, 0, :1]
    primed = generator.generate_codes(text, seed=[3, 4], prime=prime, **given)
    words = generator.generate_text(codes[::5], seed=[3, 4], **given)
    shape = (generator.layout.num_positions, 1)
    for row in range(2):
        for sample in range(5):
            drawn = 5 * row + sample
            seed = (3 + row, sample)
            settings = {
                name: ops.convert_to_tensor(np.float32([given[name]]))
                for name in ("temperature", "guidance_scale")
                if name in given
            }
            for prompt, found in (
                (prime[row : row + 1, :0], codes),
                (prime[row : row + 1], primed),
            ):
                alone = Sequential().codes(
                    generator,
                    ops.convert_to_tensor(text[row : row + 1]),
                    ops.convert_to_tensor(row_uniforms([seed], shape)),
                    ops.convert_to_tensor(prompt.astype("int32")),
                    settings,
                )
                np.testing.assert_array_equal(
                    ops.convert_to_numpy(alone).ravel(), found[drawn].ravel()
                )
            alone = Sequential().text(
                generator,
                generator.head.to_positions(codes[5 * row : 5 * row + 1]),
                ops.convert_to_tensor(row_uniforms([seed], (6,))),
                ops.convert_to_tensor(generator.captions.legal()),
                settings,
            )
            np.testing.assert_array_equal(
                ops.convert_to_numpy(alone)[0], words[drawn]
            )


def test_a_condition_is_read_once_for_all_its_samples(monkeypatch):
    monkeypatch.setattr(generation, "calls_at_once", lambda rows: 1)
    generator = small_generator(condition_dropout=0.1)
    rows = prefilled_rows(monkeypatch, generator)
    codes = generator.generate_codes(make_text(2), num_samples=8)
    assert rows == [2]
    generator.generate_codes(make_text(2), num_samples=8, guidance_scale=2.0)
    assert rows == [2, 3]
    generator.generate_text(codes[:1], num_samples=8, batch_size=4)
    assert set(rows[2:]) == {1}
