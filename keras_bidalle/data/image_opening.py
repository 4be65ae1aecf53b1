"""One way to open an image, whatever program wrote it.

Every reader and every recipe opens images here, so that what is damaged,
deep, transparent or turned is treated alike everywhere, and what cannot be
read is one error that names the file.
"""

import contextlib
import io
import os
import pathlib
import stat
import struct
from typing import Any

import numpy as np
from PIL import ExifTags, Image

from keras_bidalle.messages import one_line

# What folders are searched for.
IMAGE_SUFFIXES = (
    ".bmp",
    ".gif",
    ".jfif",
    ".jpeg",
    ".jpg",
    ".png",
    ".ppm",
    ".tif",
    ".tiff",
    ".webp",
)
# What is opened, whatever a file is called. Pillow knows more, but one of
# them (EPS) is a program, which it would hand to an interpreter.
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")

# More would take more memory than one image is worth: 4 bytes a pixel as it is
# read, and 4 as RGB.
MAX_PIXELS = 2**27
# Of what is converted at once.
_TILE = 2**11

# Longer than the path of any file.
_MAX_PATH = 4096

# What Pillow multiplies pixels of PNG files of fewer than 8 bits by.
_SCALES = {"1": 255, "L;2": 85, "L;4": 17}

# From the EXIF orientation to what turns the image upright.
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class ImageError(ValueError):
    """An image that cannot be read; the message names it and says why."""


def open_image(source: Any, name: str | None = None) -> Image.Image:
    """Opens an image as 8-bit RGB.

    What is transparent is laid on white, of an animation the first frame is
    taken, 16 bits a channel are scaled to 8, CMYK and gray are converted,
    and an image that its camera marked as turned is turned back.

    Args:
        source: str or `pathlib.Path` of a file; bytes, the contents of one;
            or an array (H, W), (H, W, 1) or (H, W, 3), uint8 or uint16.
        name: str, what the image is called in errors; by default its path.

    Returns:
        `PIL.Image.Image` of mode "RGB".

    Raises:
        ImageError: when it is damaged, has more than `MAX_PIXELS` pixels, or
            is of none of the formats BMP, GIF, JPEG, PNG, PPM, TIFF and WebP.
            The message begins with `name`.

    Example:

    ```python
    pixels = np.asarray(open_image("cat.jpg"))  # uint8 (H, W, 3)
    ```
    """
    if isinstance(source, (str, os.PathLike)):
        name = path_name(source) if name is None else name
    with _told_as(name or "image"):
        if isinstance(source, np.ndarray):
            return _from_array(source)
        with _head_of(source) as image:
            _scale_transparency(image)
            # Damage further into the file shows only now.
            image.load()
            return _as_rgb(_upright(image))


def image_size(path: str | os.PathLike[str]) -> tuple[int, int]:
    """The width and height of an image file, as its head says them.

    Raises:
        ImageError: as of `open_image`, as far as the head tells.
    """
    with _told_as(path_name(path)), _head_of(path) as image:
        return image.size


@contextlib.contextmanager
def _told_as(name):
    try:
        yield
    # Pillow's readers raise whatever their parser meets: OSError,
    # SyntaxError, struct.error, DecompressionBombError, MemoryError...
    except Exception as error:
        raise ImageError(f"{name}: {_reason(error)}") from error


def _head_of(source):
    """What Pillow knows of an image before it reads the pixels."""
    if isinstance(source, (bytes, bytearray)):
        source = io.BytesIO(source)
    elif isinstance(source, (str, os.PathLike)):
        _check_is_file(source)
    image = Image.open(source, formats=FORMATS)
    if image.width * image.height > MAX_PIXELS:
        image.close()
        raise ValueError(
            f"it has {image.width}x{image.height} pixels, at most "
            f"{MAX_PIXELS:,} are opened"
        )
    return image


def image_files(folder: str | os.PathLike[str]) -> list[pathlib.Path]:
    """The image files below a folder, by their suffix, sorted.

    Hidden files and folders, whose names begin with a dot, are left out:
    what systems and programs keep there are copies and notes.

    Args:
        folder: str or `pathlib.Path`.

    Returns:
        list of `pathlib.Path`. Links that lead nowhere are among them, so
        that they are reported when opened.

    Raises:
        FileNotFoundError: when there is no such folder, or no image in it.
        PermissionError: when a folder in it may not be read.
    """
    folder = pathlib.Path(folder)
    files = files_below(folder, IMAGE_SUFFIXES)
    if not files:
        raise FileNotFoundError(
            one_line(
                f"The folder {str(folder)!r} holds no image "
                f"({', '.join(IMAGE_SUFFIXES)})."
            )
        )
    return files


def files_below(folder, suffixes):
    """Files that are not hidden, below a folder that must be there."""
    if not os.path.isdir(folder):
        raise FileNotFoundError(
            one_line(f"There is no folder {str(folder)!r}.")
        )
    # Not `os.walk`, which calls itself: folders may lie deep in each other.
    found, folders = [], [os.fspath(folder)]
    while folders:
        with os.scandir(folders.pop()) as entries:
            for entry in entries:
                if entry.name[0] == ".":
                    continue
                if _is_folder(entry):
                    # Of links to folders nobody knows where they end.
                    if not entry.is_symlink():
                        folders.append(entry.path)
                elif pathlib.Path(entry.name).suffix.lower() in suffixes:
                    found.append(pathlib.Path(entry.path))
    return sorted(found)


def _is_folder(entry):
    try:
        return entry.is_dir()
    except OSError:  # A link to itself.
        return False


def _check_is_file(path):
    """Raises on a pipe, which would be waited for without end, and such."""
    mode = os.stat(path).st_mode
    if not stat.S_ISREG(mode):
        kind = "a directory" if stat.S_ISDIR(mode) else "no file"
        raise ValueError(f"it is {kind}")


def path_name(path):
    """A path as reports name it: one line, whatever its bytes are."""
    name = str(path)
    return one_line(name, _MAX_PATH if len(name) <= _MAX_PATH else 100)


def _upright(image):
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation)
    # Damaged notes of the camera say nothing against the pixels.
    except (OSError, SyntaxError, ValueError, LookupError, struct.error):
        orientation = None
    turn = _UPRIGHT.get(orientation)
    return image if turn is None else image.transpose(turn)


def _scale_transparency(image):
    """Puts a PNG file's transparent color on the scale of its pixels.

    Pillow scales the pixels of such files to 8 bits, and not the color.
    """
    clear = image.info.get("transparency")
    depth = image.tile[0][3] if image.format == "PNG" and image.tile else None
    if isinstance(clear, int) and depth in _SCALES:
        image.info["transparency"] = clear * _SCALES[depth]
    elif isinstance(clear, tuple) and depth == "RGB;16B":
        image.info["transparency"] = tuple(value >> 8 for value in clear)


def _as_rgb(image):
    """An image as RGB; a large one in parts, which need little memory."""
    convert = _part_as_rgb
    if image.mode == "F" or image.mode.startswith("I"):
        convert = _deep_as_rgb
    if max(image.size) <= _TILE:
        return convert(image)
    result = Image.new("RGB", image.size)
    for top in range(0, image.height, _TILE):
        for left in range(0, image.width, _TILE):
            right = min(left + _TILE, image.width)
            part = image.crop(
                (left, top, right, min(top + _TILE, image.height))
            )
            result.paste(convert(part), (left, top))
    return result


def _part_as_rgb(image):
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image).convert("RGB")
    return image.convert("RGB")


def _deep_as_rgb(image):
    array = np.asarray(image)
    clear = image.info.get("transparency")
    if isinstance(clear, int):
        array = np.where(array == clear, 65535, array)
    # Pillow gives 16-bit gray as int32 too; what exceeds 16 bits, or is no
    # integer, has no range that is known.
    if array.dtype.kind not in "iu" or array.min() < 0 or array.max() > 65535:
        raise ValueError(
            "its values are neither 8 nor 16 bits deep "
            f"({array.dtype}, {array.min()} to {array.max()})"
        )
    return Image.fromarray(_eight_bits(array)).convert("RGB")


def _from_array(array):
    if array.ndim == 3 and array.shape[-1] == 1:
        array = array[..., 0]
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[-1] != 3):
        raise ValueError(
            "expected an array (H, W), (H, W, 1) or (H, W, 3), received "
            f"shape {array.shape}"
        )
    if array.dtype not in (np.uint8, np.uint16):
        raise ValueError(
            f"expected an array of uint8 or uint16, received {array.dtype}"
        )
    if not array.size:
        raise ValueError(f"it has no pixels (shape {array.shape})")
    if array.dtype == np.uint16:
        array = _eight_bits(array)
    return Image.fromarray(array).convert("RGB")


def _eight_bits(array):
    return ((array.astype("uint32") + 128) // 257).astype("uint8")


def _reason(error):
    if isinstance(error, Image.UnidentifiedImageError):
        return "not an image of a known format"
    if isinstance(error, FileNotFoundError):
        return "there is no such file"
    if isinstance(error, OSError) and error.strerror:
        # Without the path, which is told before.
        return error.strerror
    return one_line(str(error)) or type(error).__name__
