"""Padding is NumPy's, and leaves no trace that a compiler would see."""

import numpy as np
from keras import ops
from keras.src.backend.common import global_state

from keras_bidalle.backend.keras_internals import pad


def test_zeros_stand_around_a_tensor():
    x = np.arange(1, 7, dtype="float32").reshape(1, 2, 3)
    widths = [[0, 0], [1, 2], [3, 0]]
    padded = ops.convert_to_numpy(pad(ops.convert_to_tensor(x), widths))
    np.testing.assert_array_equal(padded, np.pad(x, widths))


def test_padding_makes_no_names():
    x = ops.ones((1, 2))
    pad(x, [[0, 0], [0, 1]])
    names = global_state.get_global_attribute("object_name_uids")
    before = dict(names or {})
    pad(x, [[0, 0], [0, 1]])
    after = global_state.get_global_attribute("object_name_uids")
    assert dict(after or {}) == before
