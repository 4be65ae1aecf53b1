"""Images in a graph are opened and scaled as Pillow opens and scales them."""

import io
import resource

import keras
import numpy as np
import PIL
import pytest
from PIL import Image

from keras_bidalle.data import CenterCrop, open_image

if keras.config.backend() != "tensorflow":
    pytest.skip("serving graphs are TensorFlow's own", allow_module_level=True)

import tensorflow as tf

from keras_bidalle.serving.pictures import (
    MAX_BYTES,
    MAX_REQUEST_PIXELS,
    read_pictures,
    write_pictures,
)

SIZE = (24, 32)


@pytest.fixture(scope="module")
def read():
    @tf.function(
        input_signature=[tf.TensorSpec([None], tf.string)], autograph=False
    )
    def function(contents):
        return read_pictures(contents, (*SIZE, 3))

    return lambda files: function(tf.constant(files)).numpy()


def picture(height, width, mode="RGB", seed=0):
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (5, 7, len(mode) if mode != "P" else 3))
    coarse = coarse.astype("uint8")
    if mode == "L":
        coarse = coarse[..., 0]
    image = Image.fromarray(coarse, "RGB" if mode == "P" else mode)
    return image.resize((width, height)).convert(mode)


def saved(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def assert_same(found, expected):
    # Before version 13, Pillow scaled all images in one order.
    allowed = 0 if int(PIL.__version__.split(".")[0]) >= 13 else 1
    assert np.abs(found.astype(int) - expected).max() <= allowed


def opened(contents):
    return CenterCrop(SIZE)(open_image(contents))


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_any_size_is_scaled_as_in_training(read, kind):
    sizes = [SIZE, (48, 64), (7, 9), (300, 41), (33, 401), (1, 1), (25, 32)]
    sizes += [(131, 97), (240, 319), (3, 200), (30, 30), (60, 20), (29, 33)]
    files = [
        saved(picture(*size, seed=i), kind) for i, size in enumerate(sizes)
    ]
    for pixels, file in zip(read(files), files, strict=True):
        assert_same(pixels, opened(file))


@pytest.mark.parametrize("size", [(10**6, 1), (1, 10**6)])
def test_long_sides_take_no_more_memory_than_pixels(read, size):
    file = saved(Image.linear_gradient("L").resize(size), "PNG")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    pixels = read([file])[0]
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert_same(pixels, opened(file))
    # In units of 1024 bytes. Groups of whole rows would be 1.5 GB.
    assert after - before < 2**18


def test_more_pixels_than_a_request_may_have_are_refused(read):
    good = saved(picture(30, 30), "PNG")
    # Of the largest that is allowed, which is not opened before all is known.
    large = good[:16] + b"\x00\x00\x20\x00" * 2 + good[24:]
    message = f"at most {MAX_REQUEST_PIXELS} pixels in all"
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        read([good] + [large] * 4)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "L", "P"])
def test_other_kinds_of_png_become_rgb_on_white(read, mode):
    file = saved(picture(40, 50, mode), "PNG")
    assert_same(read([file])[0], opened(file))


def test_pictures_that_a_camera_turned_are_turned_back(read):
    for turn in range(1, 9):
        exif = Image.Exif()
        exif[0x0110] = "camera"
        exif[0x0112] = turn
        file = saved(picture(40, 60), "JPEG", exif=exif)
        assert_same(read([file])[0], opened(file))


def test_what_cannot_be_opened_is_an_error_and_the_next_is_opened(read):
    good = saved(picture(30, 30), "PNG")
    huge = good[:16] + b"\x00\x01\x00\x00\x00\x01\x00\x00" + good[24:]
    for bad, message in (
        (b"", "must be PNG or JPEG"),
        (b"no picture at all, but long enough to be one", "must be PNG"),
        (saved(picture(9, 9), "GIF"), "must be PNG"),
        (good[:20], "must be PNG"),
        (good[: len(good) // 2], "(?i)png"),
        (b"\xff\xd8\xff" + b"\x00" * 64, "(?i)jpeg"),
        (good + b"\x00" * MAX_BYTES, "at most"),
        (huge, "pixels"),
    ):
        with pytest.raises(tf.errors.InvalidArgumentError, match=message):
            read([good, bad])
        assert_same(read([good])[0], opened(good))


def test_written_pictures_are_png_files_of_rounded_values():
    images = np.linspace(-1.2, 1.2, 2 * 4 * 5 * 3, dtype="float32")
    images = images.reshape(2, 4, 5, 3)
    written = write_pictures(tf.constant(images)).numpy()
    expected = np.clip(np.rint((images + 1.0) * 127.5), 0, 255)
    for file, pixels in zip(written, expected, strict=True):
        found = Image.open(io.BytesIO(file))
        assert found.format == "PNG"
        np.testing.assert_array_equal(np.asarray(found), pixels)
