import numpy as np
import pytest
from keras import ops

from keras_bidalle.generators import ATTENTION_KINDS, attention_mask
from keras_bidalle.transformer.places import Places
from keras_bidalle.transformer.row_layout import RowLayout

TEXT, GRID = 3, (2, 2)
LAYERS = ("full", "axial_row", "full")
HIDDEN = np.array(
    [[False, False, True, False, False, False, False]] * 2
    + [[False, False, False, False, False, True, True]] * 2
)
FORWARD = np.array([True, True, False, False])


def seen(masks):
    return [ops.convert_to_numpy(mask)[:, 0] > -1.0 for mask in masks]


def make_layout(attention=("full", "axial_row"), grid=GRID, **options):
    depth = max(3, len(attention))
    return RowLayout(TEXT, grid, depth, 8, attention, kernel_size=3, **options)


def masks_of(layout, text_to_image, hidden=None):
    if hidden is not None:
        hidden = ops.convert_to_tensor(hidden)
    return Places(layout, text_to_image, "float32", hidden).masks()


def test_layers_repeat_their_kinds_in_each_row_s_direction():
    masks = masks_of(make_layout(), ops.convert_to_tensor(FORWARD))
    for mask, kind in zip(seen(masks), LAYERS, strict=True):
        mask = np.broadcast_to(mask, (4, *mask.shape[1:]))
        for row, forward in zip(mask, FORWARD, strict=True):
            expected = attention_mask(kind, bool(forward), TEXT, GRID, 3)
            np.testing.assert_array_equal(row, expected)


@pytest.mark.parametrize("self_seen", [True, False])
@pytest.mark.parametrize("shown", [False, True])
def test_hidden_positions_are_seen_by_those_who_may(self_seen, shown):
    layout = make_layout(
        pads_see_themselves=self_seen, sparse_captioning_sees_pads=shown
    )
    masks = masks_of(layout, ops.convert_to_tensor(FORWARD), HIDDEN)
    for mask, kind in zip(seen(masks), LAYERS, strict=True):
        for row, hidden, forward in zip(mask, HIDDEN, FORWARD, strict=True):
            expected = attention_mask(kind, bool(forward), TEXT, GRID, 3)
            if forward or not (shown and kind == "axial_row"):
                own = np.eye(len(hidden), dtype=bool) & self_seen
                expected = expected & (~hidden | own)
            np.testing.assert_array_equal(row, expected)


def test_one_direction_for_all_rows_gives_the_same_masks():
    for text_to_image in (True, False):
        rows = np.full(2, text_to_image)
        several = masks_of(make_layout(), ops.convert_to_tensor(rows))
        for one, each in zip(
            seen(masks_of(make_layout(), text_to_image)),
            seen(several),
            strict=True,
        ):
            np.testing.assert_array_equal(
                np.broadcast_to(one, (2, *one.shape[1:])),
                np.broadcast_to(each, (2, *each.shape[1:])),
            )


def test_a_window_shows_what_the_mask_does():
    grid = (4, 4)
    layout = make_layout(ATTENTION_KINDS, grid)
    windows = layout.masks.windows
    assert dict(zip(layout.kinds, layout.windows(True), strict=True)) == {
        kind: window and (TEXT, window) for kind, window in windows.items()
    }
    assert windows == {
        "full": None,
        "axial_row": 4,
        "axial_column": None,
        "conv_like": 6,
        "raster_row": 5,
        "raster_conv": 6,
    }
    assert layout.windows(False) == (None,) * len(ATTENTION_KINDS)
    hidden = np.zeros((1, TEXT + 16), bool)
    hidden[0, 1] = True
    places = Places(layout, True, "float32", ops.convert_to_tensor(hidden))
    for p in range(16):
        rows = places.masks_at(TEXT + p)
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
