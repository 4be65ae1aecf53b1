"""LlamaGen's, Open-MAGVIT2's and IBQ's tokenizers, against their equations."""

import json

import numpy as np
import pytest
from keras import ops
from numpy_networks import Weights, doubled, group_norm, padded
from test_published_folders import write_checkpoint

from keras_bidalle import converters
from keras_bidalle.quantizers import IBQ

WIDTHS, Z, SIDE = (32, 64), 6, 8
IMAGES = np.random.default_rng(3).uniform(-1, 1, (2, SIDE, SIDE, 3))


def unit(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def vqgan(names, images, code_dim, num_codes, find):
    """VQGAN's way from images (B, 3, H, W) to codes and back to images.

    `names` has what programs call the same layers; `find` gives the nearest
    codes and their vectors, of latents and of the codebook.
    """
    w, last = Weights(), len(WIDTHS) - 1

    def middle(half, x):
        block, attention, second = names["middle"]
        x = w.residual(f"{half}.mid.{block}", x, WIDTHS[-1])
        x = w.attention(f"{half}.mid.{attention}", x)
        return w.residual(f"{half}.mid.{second}", x, WIDTHS[-1])

    def level(name, x, index, count):
        for i in range(count):
            x = w.residual(f"{name}.{names['block']}.{i}", x, WIDTHS[index])
            if index == last:
                x = w.attention(f"{name}.attn.{i}", x)
        return x

    x = w.same("encoder.conv_in", images, WIDTHS[0])
    for i in range(last + 1):
        name = f"encoder.{names['down'](i)}"
        x = level(name, x, i, 1)
        if i < last:
            x = padded(x, 0, 1)
            x = w.conv(f"{name}.downsample.conv", x, WIDTHS[i], stride=2)
    x = w.output("encoder", middle("encoder", x), Z)
    latents = w.conv("quant_conv", x, code_dim, 1).transpose(0, 2, 3, 1)
    book = w.get("quantize.embedding.weight", num_codes, code_dim)
    codes, vectors = find(latents, book)
    x = w.conv("post_quant_conv", vectors.transpose(0, 3, 1, 2), Z, 1)
    x = middle("decoder", w.same("decoder.conv_in", x, WIDTHS[-1]))
    for i in reversed(range(last + 1)):
        name = f"decoder.{names['up'](i)}"
        x = level(name, x, i, 2)
        if i:
            x = w.same(f"{name}.upsample.conv", doubled(x), WIDTHS[i])
    return w, codes, w.output("decoder", x, 3)


LLAMAGEN = {
    "middle": ("0", "1", "2"),
    "block": "res",
    "down": lambda i: f"conv_blocks.{i}",
    "up": lambda i: f"conv_blocks.{len(WIDTHS) - 1 - i}",
}
TAMING = {
    "middle": ("block_1", "attn_1", "block_2"),
    "block": "block",
    "down": lambda i: f"down.{i}",
    "up": lambda i: f"up.{i}",
}


def nearest_by_cosine(latents, book):
    codes = (unit(latents) @ unit(book).T).argmax(-1)
    return codes, unit(book)[codes]


def nearest_by_product(latents, book):
    codes = (latents @ book.T).argmax(-1)
    return codes, book[codes]


def open_magvit2(images, bits):
    """That program's way from images (B, 3, H, W) to codes and back."""
    w, last, blocks = Weights(), len(WIDTHS) - 1, 2

    def residuals(name, x, width):
        for i in range(blocks):
            x = w.residual(f"{name}.{i}", x, width, bias=False)
        return x

    x = w.same("encoder.conv_in", images, WIDTHS[0], bias=False)
    for i, width in enumerate(WIDTHS):
        x = residuals(f"encoder.down.{i}.block", x, width)
        if i < last:
            x = padded(x, 1, 1)
            x = w.conv(f"encoder.down.{i}.downsample", x, width, stride=2)
    x = residuals("encoder.mid_block", x, WIDTHS[-1])
    latents = w.output("encoder", x, bits, size=1)
    signs = np.where(latents > 0, 1.0, -1.0)
    codes = np.einsum("bchw,c->bhw", signs > 0, 2 ** np.arange(bits))

    x = w.same("decoder.conv_in", signs, WIDTHS[-1])
    x = residuals("decoder.mid_block", x, WIDTHS[-1])
    places = signs.reshape(*signs.shape[:2], -1)
    deviation = np.sqrt(places.var(-1, ddof=1) + 1e-6)
    for i in reversed(range(last + 1)):
        channels, name = x.shape[1], f"decoder.adaptive.{i}"
        gamma = w.linear(f"{name}.gamma", deviation, channels)
        beta = w.linear(f"{name}.beta", places.mean(-1), channels)
        x = gamma[:, :, None, None] * group_norm(x) + beta[:, :, None, None]
        x = residuals(f"decoder.up.{i}.block", x, WIDTHS[i])
        if i:
            x = w.same(f"decoder.up.{i}.upsample.conv1", x, 4 * WIDTHS[i])
            x = squares(x)
    return w, codes, w.output("decoder", x, 3)


def squares(x):
    """Channels as 2x2 pixels: channel (2 i + j) C + c at row i, column j."""
    batch, channels, rows, columns = x.shape
    result = np.zeros((batch, channels // 4, 2 * rows, 2 * columns))
    for i in range(2):
        for j in range(2):
            first = (2 * i + j) * channels // 4
            part = x[:, first : first + channels // 4]
            result[:, :, i::2, j::2] = part
    return result


def encoder_config(**more):
    return {
        "double_z": False,
        "z_channels": Z,
        "resolution": SIDE,
        "in_channels": 3,
        "out_ch": 3,
        "ch": WIDTHS[0],
        "ch_mult": [1, 2],
        **more,
    }


def lightning(target, **arguments):
    return {"model": {"class_path": target, "init_args": arguments}}


def cases():
    images = IMAGES.transpose(0, 3, 1, 2)
    ibq = lightning(
        "src.IBQ.models.ibqgan.IBQ",
        ddconfig=encoder_config(num_res_blocks=1, attn_resolutions=[4]),
        **{"n_embed": 9, "embed_dim": 5, "use_entropy_loss": True},
        lossconfig={"params": {"entropy_loss_weight": 0.05}},
    )
    magvit2 = lightning(
        "src.Open_MAGVIT2.models.lfqgan.VQModel",
        ddconfig=encoder_config(num_res_blocks=2),
        **{"n_embed": 2**Z, "embed_dim": Z},
        lossconfig={"params": {"codebook_weight": 0.1}},
    )
    llamagen = {"image_size": SIDE}
    return {
        "llamagen": (
            vqgan(LLAMAGEN, images, 4, 9, nearest_by_cosine),
            llamagen,
        ),
        "ibq": (vqgan(TAMING, images, 5, 9, nearest_by_product), ibq),
        "open_magvit2": (open_magvit2(images, Z), magvit2),
    }


@pytest.mark.parametrize("name", ["llamagen", "ibq", "open_magvit2"])
def test_codes_and_pictures_are_the_programs(name, tmp_path):
    (arrays, codes, pictures), config = cases()[name]
    # Which codes came lately is no weight.
    more = {"quantize.codebook_used": np.zeros(5)} if name == "llamagen" else {}
    write_checkpoint(tmp_path / "model.pt", {**arrays, **more})
    (tmp_path / "config.yaml").write_text(json.dumps(config))
    model = converters.convert(tmp_path / "model.pt")
    images = IMAGES.astype("float32")
    np.testing.assert_array_equal(model.encode(images), codes)
    np.testing.assert_allclose(
        model.decode(codes),
        np.clip(pictures, -1, 1).transpose(0, 2, 3, 1),
        atol=1e-4,
    )
    decoded = model.decoder(
        model.from_quantized(model.quantizer.decode(codes)), training=False
    )
    np.testing.assert_allclose(
        ops.convert_to_numpy(decoded), pictures.transpose(0, 2, 3, 1), atol=1e-4
    )
    twin = type(model).from_config(model.get_config())
    assert twin.get_config() == model.get_config()
    written = converters.published_state_dict(model)
    assert written.keys() == arrays.keys()
    for key, array in arrays.items():
        np.testing.assert_array_equal(written[key], array)
    if name == "ibq":
        assert type(model.quantizer) is IBQ
        assert model.quantizer.entropy_weight == 0.05


@pytest.mark.any_backend
def test_llamagen_needs_no_configuration():
    (arrays, *_), _ = cases()["llamagen"]
    model = converters.convert_llamagen(dict(arrays))
    assert model.image_shape == (256, 256, 3)
    assert [len(level.attn) for level in model.encoder.down] == [0, 1]
    with pytest.raises(ValueError, match="`image_size` must be"):
        converters.convert_llamagen(dict(arrays), {"image_size": 0.5})


@pytest.mark.any_backend
def test_what_is_no_open_magvit2_is_told():
    (arrays, *_), config = cases()["open_magvit2"]
    options = config["model"]["init_args"]
    for changed, match in (
        ({"n_embed": 5}, "2 to that power"),
        ({"ddconfig": encoder_config(double_z=True)}, "double_z"),
    ):
        wrong = {**options, **changed}
        with pytest.raises(ValueError, match=match):
            converters.convert_open_magvit2(dict(arrays), wrong)
