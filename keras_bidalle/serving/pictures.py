"""Images of a request, opened and scaled as in training, in a graph.

`data.open_image` and `data.CenterCrop` do this with Pillow. Here are the
same steps as TensorFlow operations, with the same rounding: what is
transparent is laid on white, an image that its camera marked as turned is
turned back, the shorter side is scaled to fit and the middle cut out.
"""

import tensorflow as tf

from keras_bidalle.serving.requests import require

# Larger requests are refused before anything is decoded.
MAX_BYTES = 16 * 2**20
MAX_PIXELS = 2**26
MAX_REQUEST_PIXELS = 2**28

# Of the whole file, where cameras write how an image is turned.
_HEAD = 2**16
_ORIENTATION = 0x0112
# Pillow's scaling has this many bits behind the point.
_PRECISION = 22
# Rows that are scaled at once, so that a large image needs little memory.
_ROWS = 64


def read_pictures(image_bytes, image_shape):
    """Opens and scales images."""
    # Small integers are kept on the CPU, with what decodes them.
    with tf.device("/CPU:0"):
        pixels = tf.map_fn(_pixels, image_bytes, fn_output_signature=tf.int64)
        check = require(
            tf.reduce_sum(pixels) <= MAX_REQUEST_PIXELS,
            "`image_bytes` must be pictures of at most "
            f"{MAX_REQUEST_PIXELS} pixels in all.",
            tf.reduce_sum(pixels),
        )
        with tf.control_dependencies([check]):
            image_bytes = tf.identity(image_bytes)
        # One after the other, so that only one is in memory at its full size.
        return tf.map_fn(
            lambda file: _crop_and_scale(_open(file), *image_shape[:2]),
            image_bytes,
            fn_output_signature=tf.TensorSpec(image_shape, tf.uint8),
            parallel_iterations=1,
        )


def as_model_images(pictures):
    """uint8 images as float32 in [-1, 1]."""
    return tf.cast(pictures, tf.float32) / 127.5 - 1.0


def write_pictures(images):
    """Images as PNG files."""
    pixels = tf.round((images + 1.0) * 127.5)
    pixels = tf.cast(tf.clip_by_value(pixels, 0.0, 255.0), tf.uint8)
    with tf.device("/CPU:0"):
        return tf.map_fn(
            tf.io.encode_png, pixels, fn_output_signature=tf.string
        )


def _is_png(contents):
    return tf.strings.substr(contents, 0, 8) == b"\x89PNG\r\n\x1a\n"


def _pixels(contents):
    """How many pixels a file has, which is checked: int64."""
    size = tf.strings.length(contents)
    png = _is_png(contents)
    jpeg = tf.strings.substr(contents, 0, 3) == b"\xff\xd8\xff"
    checks = [
        require(
            (size > 32) & (png | jpeg),
            # The bytes are left out: an error is text.
            "`image_bytes` must be PNG or JPEG files.",
        ),
        require(
            size <= MAX_BYTES,
            f"`image_bytes` must be files of at most {MAX_BYTES} bytes.",
            size,
        ),
    ]
    with tf.control_dependencies(checks):
        contents = tf.identity(contents)
    sides = tf.cond(
        png,
        lambda: _png_sides(contents),
        lambda: tf.io.extract_jpeg_shape(contents)[:2],
    )
    pixels = tf.reduce_prod(tf.cast(sides, tf.int64))
    check = require(
        (pixels > 0) & (pixels <= MAX_PIXELS),
        f"`image_bytes` must be pictures of 1 to {MAX_PIXELS} pixels.",
        sides,
    )
    with tf.control_dependencies([check]):
        return tf.identity(pixels)


def _open(contents):
    """A file's image: uint8 tensor (h, w, 3), or (h, w, 4) of a PNG file."""
    return tf.cond(
        _is_png(contents),
        lambda: tf.io.decode_png(contents, channels=4),
        lambda: _open_jpeg(contents),
    )


def _png_sides(contents):
    """Height and width, from the file's first chunk."""
    sides = tf.io.decode_raw(
        tf.strings.substr(contents, 16, 8), tf.int32, little_endian=False
    )
    # What is beyond int32 is negative, and refused.
    return tf.maximum(sides[::-1], 0)


def _on_white(rgba):
    rgba = tf.cast(rgba, tf.int32)
    color, alpha = rgba[..., :3], rgba[..., 3:]
    # With Pillow's rounding of a division by 255.
    total = (color * alpha + 255 * (255 - alpha) + 128) * 128
    on_white = tf.bitwise.right_shift(
        tf.bitwise.right_shift(total + tf.bitwise.right_shift(total, 8), 8), 7
    )
    return tf.cast(on_white, tf.uint8)


def _open_jpeg(contents):
    picture = tf.io.decode_jpeg(
        contents, channels=3, dct_method="INTEGER_ACCURATE"
    )
    turn = _orientation(contents)
    picture = _if(turn >= 5, _turned, picture)
    mirrored = tf.reduce_any(turn == tf.constant([2, 3, 6, 7]))
    picture = _if(mirrored, lambda x: x[:, ::-1], picture)
    upside_down = tf.reduce_any(turn == tf.constant([3, 4, 7, 8]))
    return _if(upside_down, lambda x: x[::-1], picture)


def _if(condition, function, x):
    return tf.cond(condition, lambda: function(x), lambda: x)


def _orientation(contents):
    """How a camera says that a JPEG file is turned: int32, 1 to 8."""
    size = tf.minimum(tf.strings.length(contents), _HEAD)
    head = tf.io.decode_raw(tf.strings.substr(contents, 0, size), tf.uint8)
    head = tf.cast(head, tf.int32)
    mark = b"Exif\x00\x00"
    found = tf.ones_like(head[: size - len(mark)], tf.bool)
    for i, byte in enumerate(mark):
        found &= head[i : size - len(mark) + i] == byte
    # Places beyond the head read as zeros, which mean nothing.
    head = tf.concat([head, tf.zeros(16, tf.int32)], axis=0)

    def byte(at):
        inside = (at >= 0) & (at < size)
        return tf.gather(head, tf.where(inside, at, size))

    start = tf.cast(tf.argmax(found), tf.int32) + len(mark)
    little = byte(start) == ord("I")

    def number(at, count):
        forward = range(count)
        low_first = sum(byte(at + i) * 256**i for i in forward)
        high_first = sum(byte(at + i) * 256 ** (count - 1 - i) for i in forward)
        return tf.where(little, low_first, high_first)

    folder = start + number(start + 4, 4)
    entries = folder + 2 + 12 * tf.range(tf.minimum(number(folder, 2), 512))
    wanted = number(entries, 2) == _ORIENTATION
    value = tf.reduce_max(tf.where(wanted, number(entries + 8, 2), 0))
    known = tf.reduce_any(found) & (value >= 1) & (value <= 8)
    return tf.where(known, value, 1)


def _crop_and_scale(picture, height, width):
    """The middle of an image, scaled: uint8 tensor (height, width, 3)."""
    rows, columns = tf.unstack(tf.shape(picture)[:2])
    scale = tf.maximum(height / _double(rows), width / _double(columns))
    across, down = _Side(columns, width, scale), _Side(rows, height, scale)
    # Of a very long image the rest is as large as the whole.
    picture = picture[down.first : down.behind, across.first : across.behind]
    across, down = across.weights(), down.weights()
    # Pillow, from version 13 on, begins with the side that loses more, where
    # a row that is left out counts half of a column. Rounding shows it.
    vertical_first = (rows > height) & (rows - height > 2 * (columns - width))
    return tf.cond(
        vertical_first,
        lambda: _turned(_scaled(_turned(picture), down, across)),
        lambda: _scaled(picture, across, down),
    )


def _turned(picture):
    return tf.transpose(picture, (1, 0, 2))


def _scaled(picture, across, down):
    """An image (h, w, 3 or 4) scaled along its rows, then its columns."""
    rows, columns, channels = tf.unstack(tf.shape(picture))
    width = across.shape[0]
    # The rows in groups, filled up at the end.
    groups = -(-rows // _ROWS)
    padded = tf.pad(picture, [[0, groups * _ROWS - rows], [0, 0], [0, 0]])

    def narrowed(part):
        part = _if(channels == 4, _on_white, part)
        part = tf.ensure_shape(part, (_ROWS, None, 3))
        return _weighed("rwc,ow->roc", part, across)

    narrow = tf.map_fn(
        narrowed,
        tf.reshape(padded, (groups, _ROWS, columns, channels)),
        fn_output_signature=tf.TensorSpec((_ROWS, width, 3), tf.uint8),
        parallel_iterations=1,
    )
    narrow = tf.reshape(narrow, (-1, width, 3))[:rows]
    return _weighed("hoc,ph->poc", narrow, down)


def _double(x):
    return tf.cast(x, tf.float64)


class _Side:
    """Which old pixels of a side its new ones are made of, as Pillow has it.

    Those from `first` on and before `behind`: int32 scalars.
    """

    def __init__(self, length, count, scale):
        # In whole pixels of the scaled image, as in `CenterCrop`.
        spare = tf.round(_double(length) * scale) - count
        start = tf.math.floordiv(spare, 2.0) / scale
        end = tf.minimum(start + count / scale, _double(length))
        start = tf.cast(tf.maximum(start, 0.0), tf.float32)
        step = _double(tf.cast(end, tf.float32) - start) / count
        places = tf.range(count, dtype=tf.float64) + 0.5
        self._reach = tf.maximum(step, 1.0)
        self._middle = (_double(start) + places * step)[:, None]
        low = tf.maximum(self._middle - self._reach + 0.5, 0.0)
        self._low = tf.cast(low, tf.int32)
        self._high = tf.cast(self._middle + self._reach + 0.5, tf.int32)
        self.first = tf.reduce_min(self._low)
        self.behind = tf.minimum(tf.reduce_max(self._high), length)

    def weights(self):
        """float64 tensor (new, old pixels) of whole numbers of 2^-22."""
        old = tf.range(self.first, self.behind)[None]
        distance = tf.abs(_double(old) - self._middle + 0.5)
        triangle = tf.where(
            (old >= self._low) & (old < self._high),
            tf.maximum(1.0 - distance * (1.0 / self._reach), 0.0),
            0.0,
        )
        triangle /= tf.reduce_sum(triangle, axis=1, keepdims=True)
        return tf.floor(0.5 + triangle * (1 << _PRECISION))


def _weighed(equation, pixels, weights):
    # Products of whole numbers, exact in float64.
    total = tf.einsum(equation, _double(pixels), weights)
    half = 1 << (_PRECISION - 1)
    rounded = tf.floor((total + half) / (1 << _PRECISION))
    return tf.cast(tf.clip_by_value(rounded, 0.0, 255.0), tf.uint8)
