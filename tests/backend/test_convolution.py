import keras
import numpy as np
from keras import ops

from keras_bidalle.backend.convolution import Conv2D

IMAGES = np.random.default_rng(0).uniform(-1, 1, (3, 16, 16, 1))
IMAGES = IMAGES.astype("float32")


def test_one_filter_is_one_filter():
    layer = Conv2D(1, 3, padding="same")
    output = ops.convert_to_numpy(layer(IMAGES))
    plain = keras.layers.Conv2D(
        1, 3, padding="same", data_format="channels_last"
    )
    plain.build(IMAGES.shape)
    plain.set_weights(layer.get_weights())
    expected = ops.convert_to_numpy(plain(IMAGES))
    np.testing.assert_allclose(output, expected, atol=1e-6)
