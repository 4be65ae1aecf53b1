"""How likely captions are, of one image or of many."""

import numpy as np
import pytest
from small_generators import small_generator

from keras_bidalle.sampling.scoring import copies


def make_text(rows):
    text = np.random.default_rng(0).integers(3, 12, (rows, 6))
    text[:, 0] = 1
    text[::2, 4:] = [2, 0]
    return text


@pytest.mark.parametrize("batch_size", [1, 4, 64])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"rotary": True, "token_kernel_size": 3, "head_dim": 8},
        {"attention": ("axial_row", "full"), "depth": 2},
        {"mask_padding": False, "predict_start": True},
    ],
)
def test_captions_of_one_image_are_scored_as_each_alone(options, batch_size):
    generator = small_generator(**options)
    codes = np.arange(8).reshape(2, 2, 2) % 7
    text, several = make_text(12), np.repeat(codes, 6, axis=0)
    alone = [
        generator.score_text(text[i : i + 1], several[i : i + 1])
        for i in range(12)
    ]
    np.testing.assert_allclose(
        generator.score_text(text, several, batch_size=batch_size),
        np.concatenate(alone),
        rtol=1e-4,
        atol=1e-4,
    )


@pytest.mark.parametrize("options", [{}, {"rotary": True, "depth": 2}])
def test_pads_that_all_captions_end_in_are_left_out(options, monkeypatch):
    generator, lengths = small_generator(**options), []
    extend = type(generator.transformer).extend

    def counted(self, x, *arguments):
        lengths.append(x.shape[1])
        return extend(self, x, *arguments)

    monkeypatch.setattr(type(generator.transformer), "extend", counted)
    codes = np.repeat([[[3, 1], [0, 5]]], 4, axis=0)
    text = np.array([[1, 4, 2, 0, 0, 0]] * 4)
    text[1:, 1] = [5, 6, 7]
    scores = generator.score_text(text, codes)
    assert lengths == [3]
    alone = [generator.score_text(text[i : i + 1], codes[:1]) for i in range(4)]
    np.testing.assert_allclose(
        scores, np.concatenate(alone), rtol=1e-4, atol=1e-4
    )


def test_an_image_is_read_once_for_its_captions(monkeypatch):
    generator, rows = small_generator(), []
    prefill = type(generator.transformer).prefill

    def counted(self, x, *arguments):
        rows.append(x.shape[0])
        return prefill(self, x, *arguments)

    monkeypatch.setattr(type(generator.transformer), "prefill", counted)
    codes = np.repeat(np.arange(8).reshape(2, 2, 2) % 7, 6, axis=0)
    generator.score_text(make_text(12), codes)
    assert rows == [2]


@pytest.mark.parametrize(
    "rows,most,each",
    [
        ([], 9, 1),
        ([5], 9, 1),
        ([5, 5, 5], 9, 3),
        ([5, 5, 6, 6], 9, 2),
        ([5, 5, 6], 9, 1),
        ([5] * 4 + [6] * 2, 9, 2),
        ([5] * 6, 4, 3),
        ([5] * 7, 4, 1),
    ],
)
def test_copies_are_counted(rows, most, each):
    rows = np.array(rows, int)
    assert copies(rows, most) == each
    assert copies(rows[:, None, None], most) == each
