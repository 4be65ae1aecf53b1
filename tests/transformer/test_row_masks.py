import numpy as np
import pytest
from keras import ops

from keras_bidalle.generators import ATTENTION_KINDS, attention_mask
from keras_bidalle.transformer.row_masks import RowMasks

TEXT, GRID = 3, (2, 2)
LAYERS = ("full", "axial_row", "full")
HIDDEN = np.array(
    [[False, False, True, False, False, False, False]] * 2
    + [[False, False, False, False, False, True, True]] * 2
)
FORWARD = np.array([True, True, False, False])


def seen(masks):
    return [ops.convert_to_numpy(mask)[:, 0] > -1.0 for mask in masks]


def make_masks(**options):
    return RowMasks(("full", "axial_row"), 3, TEXT, GRID, 3, **options)


def test_layers_repeat_their_kinds_in_each_row_s_direction():
    masks = make_masks().by_layer(
        ops.convert_to_tensor(FORWARD), None, "float32"
    )
    for mask, kind in zip(seen(masks), LAYERS, strict=True):
        mask = np.broadcast_to(mask, (4, *mask.shape[1:]))
        for row, forward in zip(mask, FORWARD, strict=True):
            expected = attention_mask(kind, bool(forward), TEXT, GRID, 3)
            np.testing.assert_array_equal(row, expected)


@pytest.mark.parametrize("self_seen", [True, False])
@pytest.mark.parametrize("shown", [(), ("axial_row",)])
def test_hidden_positions_are_seen_by_those_who_may(self_seen, shown):
    masks = make_masks(
        pads_see_themselves=self_seen, shown_in_captioning=shown
    ).by_layer(ops.convert_to_tensor(FORWARD), HIDDEN, "float32")
    for mask, kind in zip(seen(masks), LAYERS, strict=True):
        for row, hidden, forward in zip(mask, HIDDEN, FORWARD, strict=True):
            expected = attention_mask(kind, bool(forward), TEXT, GRID, 3)
            if forward or kind not in shown:
                own = np.eye(len(hidden), dtype=bool) & self_seen
                expected = expected & (~hidden | own)
            np.testing.assert_array_equal(row, expected)


def test_one_direction_for_all_rows_gives_the_same_masks():
    for text_to_image in (True, False):
        rows = np.full(2, text_to_image)
        masks = make_masks()
        several = masks.by_layer(ops.convert_to_tensor(rows), None, "float32")
        for one, each in zip(
            seen(masks.by_layer(text_to_image, None, "float32")),
            seen(several),
            strict=True,
        ):
            np.testing.assert_array_equal(
                np.broadcast_to(one, (2, *one.shape[1:])),
                np.broadcast_to(each, (2, *each.shape[1:])),
            )


def test_a_window_shows_what_the_mask_does():
    grid = (4, 4)
    masks = RowMasks(ATTENTION_KINDS, len(ATTENTION_KINDS), TEXT, grid, 3)
    windows = dict(zip(ATTENTION_KINDS, masks.windows(True), strict=True))
    assert windows == {
        "full": None,
        "axial_row": 4,
        "axial_column": None,
        "conv_like": 6,
        "raster_row": 5,
        "raster_conv": 6,
    }
    assert masks.windows(False) == [None] * len(ATTENTION_KINDS)
    hidden = np.zeros((1, TEXT + 16), bool)
    hidden[0, 1] = True
    for p in range(16):
        rows = masks.rows_by_layer(TEXT + p, True, hidden, "float32")
        for kind, row in zip(ATTENTION_KINDS, rows, strict=True):
            row = ops.convert_to_numpy(row)[0, 0] > -1.0
            whole = attention_mask(kind, True, TEXT, grid, 3)[TEXT + p]
            whole = whole & ~hidden[0]
            window = windows[kind] or 16
            assert len(row) == TEXT + window
            np.testing.assert_array_equal(row[:TEXT], whole[:TEXT])
            # By what lies in each slot: the last position put there.
            seen = {
                p - (p - slot) % window for slot in np.flatnonzero(row[TEXT:])
            }
            if windows[kind] is None:
                seen = set(np.flatnonzero(row[TEXT:]))
            assert seen == set(np.flatnonzero(whole[TEXT:]))
