"""What the tests of golden cases share."""

import numpy as np
from keras import ops

VQGAN_CASES = (
    "te_vqgan/convblur_cosine",
    "te_vqgan/maxblur_unit",
    "te_vqgan/maxpool_zero",
    "te_vqgan/strided_replicate_l2",
    "taming/gumbel",
    "taming/vq_legacy",
)


def channels_last(array):
    if array.ndim == 4:
        return np.ascontiguousarray(np.moveaxis(array, 1, -1))
    return array


def assert_close(found, expected, name=""):
    found = ops.convert_to_numpy(ops.convert_to_tensor(found))
    # Sums near zero differ by more than their own share: processors add in
    # other orders.
    np.testing.assert_allclose(
        found, expected, rtol=1e-4, atol=3e-5, err_msg=name
    )
