import numpy as np
from keras import ops

from keras_bidalle.transformer.row_layout import RowLayout

FORWARD = np.array([True, False])


def make_layout(**options):
    return RowLayout(3, (2, 2), depth=2, head_dim=8, **options)


def test_parts_are_joined_in_the_order_of_each_row():
    layout = make_layout()
    text = np.tile(np.arange(3), (2, 1))
    image = np.tile(np.arange(10, 14), (2, 1))
    forward, backward = [0, 1, 2, 10, 11, 12, 13], [10, 11, 12, 13, 0, 1, 2]

    def joined(direction):
        parts = [ops.convert_to_tensor(part) for part in (text, image)]
        return ops.convert_to_numpy(layout.in_order(direction, *parts))

    np.testing.assert_array_equal(
        joined(ops.convert_to_tensor(FORWARD)), [forward, backward]
    )
    np.testing.assert_array_equal(joined(True), [forward] * 2)
    np.testing.assert_array_equal(joined(False), [backward] * 2)


def test_each_token_is_predicted_at_the_position_before_it():
    layout = make_layout()
    x = ops.convert_to_tensor(np.arange(14.0).reshape(2, 7, 1))
    text, image = layout.before(ops.convert_to_tensor(FORWARD), x)
    # Row 0 is [caption][image], row 1, from 7 on, [image][caption].
    np.testing.assert_array_equal(
        ops.convert_to_numpy(text)[..., 0], [[0, 1], [11, 12]]
    )
    np.testing.assert_array_equal(
        ops.convert_to_numpy(image)[0, :, 0], [2, 3, 4, 5]
    )
    # What begins a row has nothing before it.
    np.testing.assert_array_equal(
        ops.convert_to_numpy(image)[1, 1:, 0], [7, 8, 9]
    )
    text, _ = layout.before(ops.convert_to_tensor(FORWARD), x, first=0)
    np.testing.assert_array_equal(
        ops.convert_to_numpy(text)[1, :, 0], [10, 11, 12]
    )


def test_places_of_a_direction_are_those_of_its_rows():
    layout = make_layout(rotary=True, attention=("full", "axial_row"))
    padding = np.array([[False, True, True], [False, False, True]])
    padding = ops.convert_to_tensor(padding)
    rows = ops.convert_to_tensor(FORWARD)
    several = layout.places(rows, "float32", padding)
    for row, direction in enumerate(FORWARD.tolist()):
        one = layout.places(direction, "float32", padding)
        for mask, masks in zip(one.masks(), several.masks(), strict=True):
            np.testing.assert_array_equal(
                ops.convert_to_numpy(mask)[row],
                ops.convert_to_numpy(masks)[row],
            )
        for part, parts in zip(one.rotation(), several.rotation(), strict=True):
            np.testing.assert_array_equal(
                ops.convert_to_numpy(part)[0], ops.convert_to_numpy(parts)[row]
            )
    assert several.windows == (None, None)


def test_the_configuration_survives_a_round_trip():
    layout = make_layout(attention=("full", "conv_like"), mask_padding=False)
    again = RowLayout.from_config(layout.get_config())
    assert again.get_config() == layout.get_config()
    assert again.attention == ("full", "conv_like")
