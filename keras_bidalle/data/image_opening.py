"""One way to open an image, whatever program wrote it.

Every reader and every recipe opens images here, so that what is damaged,
deep, transparent or turned is treated alike everywhere, and what cannot be
read is one error that names the file.
"""

import io
import os
import pathlib
import struct
from typing import Any

import numpy as np
from PIL import ExifTags, Image

# What folders are searched for.
IMAGE_SUFFIXES = (
    ".bmp",
    ".gif",
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
        ImageError: when it is damaged, too large to be safe, or of none of
            the formats BMP, GIF, JPEG, PNG, PPM, TIFF and WebP. The message
            begins with `name`.

    Example:

    ```python
    pixels = np.asarray(open_image("cat.jpg"))  # uint8 (H, W, 3)
    ```
    """
    if isinstance(source, (str, os.PathLike)):
        name = str(source) if name is None else name
    elif name is None:
        name = "image"
    try:
        if isinstance(source, np.ndarray):
            return _from_array(source)
        if isinstance(source, (bytes, bytearray)):
            source = io.BytesIO(source)
        with Image.open(source, formats=FORMATS) as image:
            # Damage further into the file shows only now.
            image.load()
            return _as_rgb(_upright(image))
    # Pillow's readers raise whatever their parser meets: OSError,
    # SyntaxError, struct.error, DecompressionBombError, MemoryError...
    except Exception as error:
        raise ImageError(f"{name}: {_reason(error)}") from error


def image_files(folder: str | os.PathLike[str]) -> list[pathlib.Path]:
    """The image files below a folder, by their suffix, sorted.

    Args:
        folder: str or `pathlib.Path`.

    Returns:
        list of `pathlib.Path`. Links that lead nowhere are among them, so
        that they are reported when opened.

    Raises:
        FileNotFoundError: when there is no such folder, or no image in it.
    """
    folder = pathlib.Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"There is no folder {str(folder)!r}.")
    files = sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in IMAGE_SUFFIXES
        and (path.is_file() or (path.is_symlink() and not path.exists()))
    )
    if not files:
        raise FileNotFoundError(
            f"The folder {str(folder)!r} holds no image "
            f"({', '.join(IMAGE_SUFFIXES)})."
        )
    return files


def _upright(image):
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation)
    # Damaged notes of the camera say nothing against the pixels.
    except (OSError, SyntaxError, ValueError, LookupError, struct.error):
        orientation = None
    turn = _UPRIGHT.get(orientation)
    return image if turn is None else image.transpose(turn)


def _as_rgb(image):
    if image.mode == "F" or image.mode.startswith("I"):
        return _from_deep(np.asarray(image))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image).convert("RGB")
    return image.convert("RGB")


def _from_deep(array):
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
    text = " ".join(str(error).split())
    return text or type(error).__name__
