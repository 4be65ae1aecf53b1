"""The raster-order masks of DALL-E, stated token by token."""

import numpy as np
import pytest

from keras_bidalle.generators import ATTENTION_KINDS, attention_mask

TEXT, ROWS, COLUMNS = 6, 4, 4


def by_hand(kind, rows, columns, kernel_size):
    """Which codes each code sees, by the words of Figure 11.

    Row: "attends to the previous 5 image tokens in raster order", itself
    among them, on a grid 4 wide: back to the one in the same column of the
    row above. Column: those above in the same column. Convolution: a causal
    window with wraparound, its cells counted in raster order.
    """
    count = rows * columns
    seen = np.zeros((count, count), bool)
    reach = kernel_size // 2
    for query in range(count):
        if kind == "raster_row":
            found = [query - back for back in range(columns + 1)]
        elif kind == "axial_column":
            found = [query - back * columns for back in range(rows)]
        else:
            found = [
                query - up * columns + side
                for up in range(reach + 1)
                for side in range(-reach, reach + 1)
            ]
        for key in found:
            if 0 <= key <= query:
                seen[query, key] = True
    return seen


@pytest.mark.parametrize("text_to_image", [True, False])
@pytest.mark.parametrize("grid", [(4, 4), (3, 5)])
@pytest.mark.parametrize("kind", ["raster_row", "axial_column", "raster_conv"])
def test_dalle_s_masks_are_those_of_its_figure(kind, grid, text_to_image):
    mask = attention_mask(kind, text_to_image, TEXT, grid, kernel_size=3)
    count = grid[0] * grid[1]
    image = slice(TEXT, None) if text_to_image else slice(count)
    expected = np.tril(np.ones((TEXT + count, TEXT + count), bool))
    expected[image, image] = by_hand(kind, *grid, 3)
    np.testing.assert_array_equal(mask, expected)


def test_a_raster_row_crosses_the_ends_of_rows():
    mask = attention_mask("raster_row", True, TEXT, (ROWS, COLUMNS))
    image = mask[TEXT:, TEXT:]
    assert image.sum(axis=1).tolist() == [1, 2, 3, 4] + [5] * 12
    # The first code of the third row sees all of the second.
    assert np.flatnonzero(image[8]).tolist() == [4, 5, 6, 7, 8]


@pytest.mark.parametrize("kind", ATTENTION_KINDS)
def test_every_code_sees_itself_and_the_caption_before_it(kind):
    mask = attention_mask(kind, True, TEXT, (ROWS, COLUMNS))
    assert mask.diagonal().all()
    assert mask[TEXT:, :TEXT].all()
    assert not np.triu(mask, 1).any()
