"""Images are reconstructed, odd ones too, by what a program trained."""

import json
import os
import pathlib
import struct
import zlib

import generate
import numpy as np
import pytest
import reconstruct
from PIL import Image
from trained import png

import keras_bidalle

pytestmark = pytest.mark.any_backend


def test_pictures_are_reconstructed_beside_the_originals(
    runs, pictures, tmp_path, capsys
):
    folder, batch = pictures
    status = reconstruct.main(
        [
            str(runs / "generator" / "model"),
            str(folder),
            str(folder / "3.png"),
            str(tmp_path / "missing.png"),
            *("--output", str(tmp_path / "made"), "--batch-size", "5"),
        ]
    )
    told = capsys.readouterr().err.splitlines()
    assert status == 1 and len(told) == 2
    assert "broken.png" in told[1] or "broken.png" in told[0]
    assert any("missing.png: there is no such file" in line for line in told)
    made = {path.name for path in (tmp_path / "made").iterdir()}
    names = {f"{i}.png" for i in range(12)}
    assert made == names | {"3-2.png", "grid.png"}
    pair = np.asarray(Image.open(tmp_path / "made" / "3.png"))
    assert pair.shape == (36, 70, 3)
    tokenizer = keras_bidalle.load(runs / "tokenizer" / "tokenizer")
    original = pair[2:34, 2:34]
    expected = keras_bidalle.validation.as_uint8_images(
        tokenizer.reconstruct(original[None])
    )[0]
    difference = pair[2:34, 36:68].astype(int) - expected
    assert abs(difference).max() <= 1
    # What reconstructs is what was trained: nearer than gray images are.
    pairs = [png(tmp_path / "made" / f"{i}.png") for i in range(12)]
    errors = [
        np.mean((pair[2:34, 36:68].astype(float) - pair[2:34, 2:34]) ** 2)
        for pair in pairs
    ]
    assert np.mean(errors) < 0.9 * np.mean(
        [np.var(p[2:34, 2:34]) for p in pairs]
    )


def test_odd_pictures_are_handled_or_told(runs, tmp_path, capsys):
    odd = tmp_path / "odd"
    odd.mkdir()
    rng = np.random.default_rng(0)
    rgb = Image.fromarray(rng.integers(0, 256, (40, 40, 3)).astype("uint8"))
    rgb.save(odd / "good.png")
    whole = (odd / "good.png").read_bytes()
    (odd / "truncated.png").write_bytes(whole[: len(whole) // 2])
    rgb.convert("CMYK").save(odd / "cmyk.jpg")
    deep = rng.integers(0, 65536, (40, 40)).astype("uint16")
    Image.fromarray(deep).save(odd / "deep.png")
    rgb.save(odd / "moving.gif", save_all=True, append_images=[rgb])
    rgb.convert("P").save(odd / "palette.png", transparency=bytes(range(99)))
    rgb.convert("LA").save(odd / "alpha.png")
    rgb.save(odd / "half.jpg")
    half = (odd / "half.jpg").read_bytes()
    (odd / "half.jpg").write_bytes(half[: len(half) // 2])
    (odd / "bomb.png").write_bytes(png_header(60000, 60000))
    (odd / "empty.png").touch()
    (odd / "lost.png").symlink_to(odd / "nowhere")
    # Nobody can read it, but who may everything.
    rgb.save(odd / "private.png")
    (odd / "private.png").chmod(0)
    private = os.access(odd / "private.png", os.R_OK)
    # Folders are searched, and this one has nothing.
    (odd / "folder.png").mkdir()
    rgb.crop((0, 0, 1, 1)).save(odd / "one.png")
    rgb.resize((10000, 10)).save(odd / "long.png")
    (odd / "text.png").write_text("no picture")

    model = str(runs / "generator" / "model")
    output = tmp_path / "out"
    pictures = [str(odd / "folder.png"), str(odd)]
    assert reconstruct.main([model, *pictures, "--output", str(output)]) == 1
    told = capsys.readouterr().err.splitlines()
    bad = [
        *("folder.png", "bomb.png", "empty.png", "half.jpg", "lost.png"),
        *(["private.png"] if not private else []),
        *("text.png", "truncated.png"),
    ]
    assert len(told) == len(bad)
    for line, name in zip(told, bad, strict=True):
        assert line.startswith("Error: ") and str(odd / name) in line
    good = {
        *("alpha", "cmyk", "deep", "good", "long", "moving", "one"),
        *("palette", *(["private"] if private else [])),
    }
    made = {path.stem for path in output.iterdir()}
    assert made == {*good, "grid"}
    arguments = [model, "--pictures", *pictures, "--output", str(output)]
    assert generate.main(arguments) == 1
    captured = capsys.readouterr()
    assert captured.err.splitlines() == told
    assert len(captured.out.splitlines()) == len(good)
    texts = json.loads((output / "captions.json").read_text())
    assert {pathlib.Path(path).stem for path in texts} == good


def png_header(width, height):
    """A PNG that claims a size and has almost no pixels."""

    def chunk(kind, content):
        checksum = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + checksum

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    pixels = zlib.compress(bytes(1000))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        chunk(kind, content)
        for kind, content in (
            *((b"IHDR", header), (b"IDAT", pixels), (b"IEND", b"")),
        )
    )
