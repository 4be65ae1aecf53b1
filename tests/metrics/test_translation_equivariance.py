import itertools

import numpy as np
import pytest

from keras_bidalle.metrics import (
    codebook_statistics,
    translation_equivariance,
)


def published_blocks(grids):
    """The 8x8 blocks of 16x16 codes, as the published program cuts them."""
    return [
        grids[:, 0, 4:-4, 4:-4],
        grids[:, 1, :8, :8],
        grids[:, 2, :8, 8:],
        grids[:, 3, 8:, :8],
        grids[:, 4, 8:, 8:],
    ]


def statement(codes):
    pairs = itertools.combinations(published_blocks(codes), 2)
    return np.mean([np.mean(one == two) for one, two in pairs])


def test_it_is_the_published_statement():
    codes = np.random.default_rng(0).integers(3, size=(6, 5, 16, 16))
    result = translation_equivariance(codes, 3)
    assert set(result) == {
        "translation_equivariance",
        "codebook_usage",
        "perplexity",
    }
    np.testing.assert_allclose(
        result["translation_equivariance"], statement(codes), rtol=1e-12
    )


def test_equal_content_scores_one_and_is_not_confused_by_the_rest():
    rng = np.random.default_rng(0)
    content = rng.integers(64, size=(4, 8, 8))
    codes = rng.integers(64, size=(4, 5, 16, 16))
    for block in published_blocks(codes):
        block[...] = content
    result = translation_equivariance(codes, 64)
    assert result["translation_equivariance"] == 1.0
    codes[:, 0] = (codes[:, 0] + 1) % 64
    # The center disagrees with the four others: 6 of 10 pairs remain.
    result = translation_equivariance(codes, 64)
    np.testing.assert_allclose(result["translation_equivariance"], 0.6)


@pytest.mark.parametrize("size", [4, 8, 32])
def test_other_grids_use_the_same_places(size):
    half, quarter = size // 2, size // 4
    codes = np.arange(2 * 5 * size * size).reshape(2, 5, size, size)
    content = -1 - np.arange(half * half).reshape(half, half)
    middle = slice(quarter, quarter + half)
    codes[:, 0, middle, middle] = content
    for i, (row, column) in enumerate(itertools.product((0, half), repeat=2)):
        codes[:, i + 1, row : row + half, column : column + half] = content
    codes -= codes.min()
    result = translation_equivariance(codes, int(codes.max()) + 1)
    assert result["translation_equivariance"] == 1.0


def test_foreground_counts_only_the_cells_with_light():
    rng = np.random.default_rng(0)
    codes = np.zeros((3, 5, 16, 16), "int64")
    images = np.zeros((3, 5, 64, 64, 3), "uint8")
    # One lit pixel in a corner of a cell of the content, its code never
    # agreeing; all the rest, agreeing, is black.
    corners = [(16, 16), (0, 0), (0, 32), (32, 0), (32, 32)]
    for i, (top, left) in enumerate(corners):
        images[:, i, top + 7, left + 8, rng.integers(3)] = 1
        codes[:, i, (top + 7) // 4, (left + 8) // 4] = i
    result = translation_equivariance(codes, 5, images)
    assert result["foreground_translation_equivariance"] == 0.0
    np.testing.assert_allclose(
        result["translation_equivariance"], 63 / 64, rtol=1e-12
    )
    floats = images.astype("float32") / 127.5 - 1.0
    assert translation_equivariance(codes, 5, floats) == result


def test_foreground_is_the_mean_over_groups_on_the_lit_cells():
    rng = np.random.default_rng(1)
    codes = rng.integers(2, size=(4, 5, 16, 16))
    lit = rng.random((4, 8, 8)) < 0.3
    lit[3] = False
    images = np.full((4, 5, 64, 64, 3), -1.0, "float32")
    cells = np.zeros((4, 5, 16, 16), bool)
    for block in published_blocks(cells):
        block[...] = lit
    images[np.repeat(np.repeat(cells, 4, axis=2), 4, axis=3)] = 0.5
    blocks = published_blocks(codes)
    scores = [
        np.mean(
            [
                np.mean(one[group][lit[group]] == two[group][lit[group]])
                for one, two in itertools.combinations(blocks, 2)
            ]
        )
        for group in range(3)
    ]
    result = translation_equivariance(codes, 2, images)
    np.testing.assert_allclose(
        result["foreground_translation_equivariance"], np.mean(scores)
    )


def test_residual_codes_count_every_depth():
    codes = np.zeros((2, 5, 16, 16, 2), "int32")
    codes[..., 1] = np.arange(5)[None, :, None, None]
    images = np.full((2, 5, 64, 64, 3), 255, "uint8")
    result = translation_equivariance(codes, 8, images)
    assert result["translation_equivariance"] == 0.5
    assert result["foreground_translation_equivariance"] == 0.5


def test_a_degenerate_codebook_is_shown_beside_its_perfect_score():
    result = translation_equivariance(np.full((2, 5, 16, 16), 7), 128)
    assert result["translation_equivariance"] == 1.0
    assert result["codebook_usage"] == 1 / 128
    np.testing.assert_allclose(result["perplexity"], 1.0)


def test_codebook_statistics_are_usage_and_exponential_of_entropy():
    result = codebook_statistics(np.asarray([[0, 0], [1, 3]]), 4)
    assert result["codebook_usage"] == 0.75
    entropy = -(0.5 * np.log(0.5) + 2 * 0.25 * np.log(0.25))
    np.testing.assert_allclose(result["perplexity"], np.exp(entropy))


@pytest.mark.parametrize(
    "shape", [(2, 4, 16, 16), (5, 16, 16), (2, 5, 10, 16), (0, 5, 16, 16)]
)
def test_wrong_shapes_are_refused(shape):
    with pytest.raises(ValueError, match="shape="):
        translation_equivariance(np.zeros(shape, "int32"), 4)


def test_pictures_that_do_not_fit_the_codes_are_refused():
    codes = np.zeros((2, 5, 16, 16), "int32")
    with pytest.raises(ValueError, match="`images` must have shape"):
        translation_equivariance(codes, 4, np.ones((2, 5, 60, 64, 3)))
    with pytest.raises(ValueError, match="black everywhere"):
        black = np.zeros((2, 5, 64, 64, 3), "uint8")
        translation_equivariance(codes, 4, black)
    with pytest.raises(ValueError, match=r"\[0, 4\)"):
        translation_equivariance(codes + 4, 4)


def test_other_dtypes_and_ranges_are_refused():
    codes = np.zeros((2, 5, 16, 16), "int32")
    with pytest.raises(TypeError, match="`codes` must be integers"):
        translation_equivariance(codes.astype(float), 4)
    with pytest.raises(ValueError, match="`num_codes` must be a positive"):
        codebook_statistics(codes, 4.5)
    white = np.full((2, 5, 64, 64, 3), 255)
    with pytest.raises(TypeError, match="`images` must be uint8"):
        translation_equivariance(codes, 4, white)
    with pytest.raises(ValueError, match="`images` must be finite"):
        translation_equivariance(codes, 4, white.astype("float32"))
