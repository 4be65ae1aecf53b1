import io
import os
import pathlib
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from PIL import Image

from keras_bidalle.data import (
    ImageError,
    image_files,
    image_opening,
    open_image,
)

pytestmark = pytest.mark.any_backend

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (6, 8, 3), "uint8")


def encoded(image, suffix="PNG", **options):
    file = io.BytesIO()
    image.save(file, suffix, **options)
    return file.getvalue()


def opened(content):
    image = open_image(content)
    assert image.mode == "RGB"
    return np.asarray(image)


def test_a_path_and_its_contents_are_the_same_image(tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(PIXELS).save(path)
    for source in (path, str(path), path.read_bytes()):
        np.testing.assert_array_equal(opened(source), PIXELS)


def test_gray_is_every_channel():
    gray = encoded(Image.fromarray(PIXELS[..., 0]))
    np.testing.assert_array_equal(opened(gray), PIXELS[..., :1].repeat(3, -1))
    one_bit = encoded(Image.fromarray(PIXELS[..., 0] > 127))
    assert set(np.unique(opened(one_bit))) == {0, 255}


@pytest.mark.parametrize("suffix", ["PNG", "TIFF"])
def test_sixteen_bits_are_scaled_to_eight(suffix):
    deep = np.array([[0, 65535, 257 * 7], [257 * 200, 128, 129]], "uint16")
    pixels = opened(encoded(Image.fromarray(deep), suffix))
    expected = [[0, 255, 7], [200, 0, 1]]
    np.testing.assert_array_equal(pixels[..., 0], expected)
    np.testing.assert_array_equal(pixels[..., 2], expected)


def test_values_of_an_unknown_range_are_an_error():
    floats = Image.fromarray(np.ones((2, 2), "float32"))
    with pytest.raises(ImageError, match="neither 8 nor 16 bits"):
        open_image(encoded(floats, "TIFF"))


def test_cmyk_is_converted():
    ink = Image.new("CMYK", (8, 8), (0, 255, 255, 0))
    red = opened(encoded(ink, "JPEG", quality=95)).astype(int)
    assert abs(red - [255, 0, 0]).max() < 8


def test_what_is_transparent_is_laid_on_white():
    alpha = np.array([[0, 255], [128, 255]], "uint8")
    pixels = np.concatenate([PIXELS[:2, :2], alpha[..., None]], -1)
    share = alpha[..., None] / 255
    expected = PIXELS[:2, :2] * share + 255 * (1 - share)
    result = opened(encoded(Image.fromarray(pixels)))
    assert abs(result - expected).max() <= 1
    gray = Image.fromarray(pixels[..., [0, 3]].copy())
    assert opened(encoded(gray))[0, 0].tolist() == [255] * 3


def test_a_palette_may_have_alpha():
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 200, 0, 0])
    image.putdata([0, 1])
    content = encoded(image, transparency=bytes([0, 255]))
    assert opened(content).tolist() == [[[255] * 3, [200, 0, 0]]]


def test_of_an_animation_the_first_frame_is_taken():
    frames = [Image.new("RGB", (4, 4), c) for c in ("red", "lime", "blue")]
    gif = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert Image.open(io.BytesIO(gif)).n_frames == 3
    assert (opened(gif) == [255, 0, 0]).all()


@pytest.mark.parametrize(
    "orientation, turn",
    [
        (1, lambda x: x),
        (2, lambda x: x[:, ::-1]),
        (3, lambda x: x[::-1, ::-1]),
        (4, lambda x: x[::-1]),
        (5, lambda x: x.swapaxes(0, 1)),
        (6, lambda x: np.rot90(x, -1)),
        (7, lambda x: x[::-1, ::-1].swapaxes(0, 1)),
        (8, lambda x: np.rot90(x)),
    ],
)
def test_a_turned_image_is_turned_back(orientation, turn):
    exif = Image.Exif()
    exif[0x0112] = orientation
    for array in (PIXELS, PIXELS[..., 0], PIXELS[..., 0].astype("uint16")):
        content = encoded(Image.fromarray(array), exif=exif)
        rgb = array if array.ndim == 3 else array[..., None].repeat(3, -1)
        if array.dtype == np.uint16:
            rgb = (rgb + 128) // 257
        np.testing.assert_array_equal(opened(content), turn(rgb))


def test_a_turned_palette_keeps_its_alpha():
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 200, 0, 0])
    image.putdata([0, 1])
    exif = Image.Exif()
    exif[0x0112] = 6
    content = encoded(image, transparency=bytes([0, 255]), exif=exif)
    assert opened(content).tolist() == [[[255] * 3], [[200, 0, 0]]]


def test_damaged_notes_of_the_camera_do_not_matter():
    content = encoded(Image.fromarray(PIXELS), exif=b"Exif\0\0not a TIFF file")
    np.testing.assert_array_equal(opened(content), PIXELS)


@pytest.mark.parametrize("size", [(1, 1), (10000, 10), (10, 10000)])
def test_any_size_is_opened(size):
    assert open_image(encoded(Image.new("RGB", size))).size == size


def test_arrays_are_images_too():
    np.testing.assert_array_equal(opened(PIXELS), PIXELS)
    gray = PIXELS[..., :1]
    np.testing.assert_array_equal(opened(gray), gray.repeat(3, -1))
    deep = PIXELS.astype("uint16") * 257
    np.testing.assert_array_equal(opened(deep), PIXELS)
    for wrong, why in (
        (PIXELS.astype("int64"), "uint8 or uint16, received int64"),
        (PIXELS / 255, "uint8 or uint16, received float64"),
        (PIXELS[None], r"received shape \(1, 6, 8, 3\)"),
        (PIXELS[:0], "no pixels"),
    ):
        with pytest.raises(ImageError, match=why):
            open_image(wrong)


@pytest.mark.parametrize("suffix", ["PNG", "JPEG", "GIF", "BMP", "TIFF"])
def test_a_truncated_image_is_one_error_that_names_it(tmp_path, suffix):
    whole = encoded(
        Image.fromarray(RNG.integers(0, 256, (40, 40, 3), "uint8")), suffix
    )
    path = tmp_path / "cut.png"
    for share in (0.0, 0.01, 0.5, 0.8):
        path.write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(ImageError) as caught:
            open_image(path)
        message = str(caught.value)
        assert message.startswith(f"{path}: ") and "\n" not in message
        assert len(message) > len(f"{path}: ")


def test_what_is_no_image_is_an_error(tmp_path):
    with pytest.raises(ImageError, match="note: not an image of a known"):
        open_image(b"Dear diary", name="note")
    with pytest.raises(ImageError, match="x.png: there is no such file"):
        open_image(tmp_path / "x.png")
    with pytest.raises(ImageError, match="irectory"):
        open_image(tmp_path)


def test_a_program_is_never_run():
    # Encapsulated PostScript, which Pillow would hand to an interpreter.
    program = encoded(Image.fromarray(PIXELS), "EPS")
    with pytest.raises(ImageError, match="not an image of a known format"):
        open_image(program)


def test_a_decompression_bomb_is_an_error(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    with pytest.raises(ImageError, match="bomb"):
        open_image(encoded(Image.fromarray(PIXELS)))
    monkeypatch.undo()
    monkeypatch.setattr(image_opening, "MAX_PIXELS", 47)
    with pytest.raises(ImageError, match="8x6 pixels, at most 47"):
        open_image(encoded(Image.fromarray(PIXELS)))


def test_compressed_notes_take_no_more_memory_than_pixels():
    note = zlib.compress(bytes(2**26))
    whole = encoded(Image.fromarray(PIXELS))
    for head in (b"iCCPp\0\0", b"zTXtk\0\0", b"iTXtk\0\1\0\0\0"):
        name, content = head[:4], head[4:] + note
        bomb = struct.pack(">I", len(content)) + name + content
        bomb += struct.pack(">I", zlib.crc32(name + content))
        tracemalloc.start()
        with pytest.raises(ImageError, match="too large"):
            open_image(whole[:33] + bomb + whole[33:])
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 2**24


def png_of(mode, bits, clear, *pixels):
    """A PNG file of one row, with a transparent color."""

    def chunk(name, content):
        check = struct.pack(">I", zlib.crc32(name + content))
        return struct.pack(">I", len(content)) + name + content + check

    channels = 3 if mode == 2 else 1
    head = struct.pack(
        ">IIBBBBB", len(pixels) // channels, 1, bits, mode, 0, 0, 0
    )
    if bits == 16:
        row = struct.pack(f">{len(pixels)}H", *pixels)
    else:
        row = sum(p << 8 - bits * (i + 1) for i, p in enumerate(pixels))
        row = bytes([row])
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"tRNS", struct.pack(f">{channels}H", *[clear] * channels))
        + chunk(b"IDAT", zlib.compress(b"\0" + row))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    "mode, bits, clear, pixels, expected",
    [
        (0, 16, 500, (500, 1028), (255, 4)),
        (2, 16, 500, (500, 500, 500, 1028, 1028, 1028), (255, 4)),
        (0, 2, 1, (1, 2, 0, 3), (255, 170, 0, 255)),
        (0, 4, 3, (3, 2), (255, 34)),
        (0, 1, 0, (0, 1), (255, 255)),
    ],
)
def test_a_transparent_color_is_white_at_any_depth(
    mode, bits, clear, pixels, expected
):
    image = open_image(png_of(mode, bits, clear, *pixels))
    assert [p[0] for p in np.asarray(image)[0]] == list(expected)


def test_a_large_image_is_converted_in_parts(monkeypatch):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (50, 70, 4), "uint8")
    contents = io.BytesIO()
    Image.fromarray(pixels, "RGBA").save(contents, "PNG")
    whole = np.asarray(open_image(contents.getvalue()))
    monkeypatch.setattr(image_opening, "_TILE", 16)
    np.testing.assert_array_equal(open_image(contents.getvalue()), whole)


def test_what_is_hidden_is_no_image(tmp_path):
    hidden = tmp_path / ".data"
    for path in ("cat.png", ".thumbs/cat.png", "._cat.png", "a/.b/c/cat.png"):
        (hidden / path).parent.mkdir(parents=True, exist_ok=True)
        (hidden / path).touch()
    # The folder that was asked for may be hidden itself.
    assert image_files(hidden) == [hidden / "cat.png"]


def test_a_folder_that_may_not_be_read_is_told(tmp_path, monkeypatch):
    (tmp_path / "cat.png").touch()

    def scandir(path):
        raise PermissionError(13, "Permission denied", str(path))

    # Root, who may run the tests, may read all.
    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(PermissionError):
        image_files(tmp_path)


def test_a_folder_is_searched_by_suffix(tmp_path):
    for name in ("b.PNG", "a.jpg", "sub/c.webp", "d.txt", "sub/e"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"")
    (tmp_path / "folder.png").mkdir()
    names = [
        path.relative_to(tmp_path).as_posix()
        for path in image_files(os.fspath(tmp_path))
    ]
    assert names == ["a.jpg", "b.PNG", "sub/c.webp"]
    with pytest.raises(FileNotFoundError, match="no folder"):
        image_files(tmp_path / "missing")
    with pytest.raises(FileNotFoundError, match="holds no image"):
        image_files(pathlib.Path(tmp_path / "folder.png"))
