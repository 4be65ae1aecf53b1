"""DALL-E's published discrete VAE: two pickled modules to one tokenizer."""

import os
import pathlib
import re
from typing import Any

import numpy as np

from keras_bidalle.converters.configs import read_config
from keras_bidalle.converters.modules import read_module
from keras_bidalle.converters.weights import StateDictReader
from keras_bidalle.image_tokenizers import DiscreteVAE
from keras_bidalle.messages import shown
from keras_bidalle.quantizers import GumbelQuantizer

ENCODER_FILE, DECODER_FILE = "encoder.pkl", "decoder.pkl"
CONFIG_FILE = "config.json"
_PACKAGES = ("dall_e",)
_DEFAULT_EPSILON = 0.1  # A constant of the published program.
_PUBLISHED_SIZE = 256
# Of the divergence in the evidence lower bound, arXiv:2102.12092, A.2.
_BETA = 6.6


def is_dall_e(path):
    """Whether a path is one of the files of DALL-E's discrete VAE.

    Args:
        path: `pathlib.Path` of a file, or of a folder that may have one.
    """
    files = (ENCODER_FILE, DECODER_FILE)
    if os.path.isdir(path):
        return any(os.path.isfile(path / name) for name in files)
    return path.name in files


def convert_dall_e_folder(folder, config=None):
    """Builds the image tokenizer of a folder with DALL-E's discrete VAE.

    Args:
        folder: str or `pathlib.Path` of a folder with `encoder.pkl` and
            `decoder.pkl`, as published: pickled whole modules. Nothing in
            them is executed.
        config: str or `pathlib.Path` of a configuration, by default the
            `config.json` of the folder, if it has one.

    Returns:
        `keras_bidalle.image_tokenizers.DiscreteVAE`.

    Raises:
        ValueError: when a file is damaged, holds something else or asks for
            code, and as `convert_dall_e`.
        FileNotFoundError: when a file is missing.
    """
    folder = pathlib.Path(folder)
    if config is None and os.path.isfile(folder / CONFIG_FILE):
        config = folder / CONFIG_FILE
    config = {} if config is None else read_config(config)
    encoder = read_module(folder / ENCODER_FILE, _PACKAGES)
    decoder = read_module(folder / DECODER_FILE, _PACKAGES)
    return convert_dall_e(encoder, decoder, config)


def convert_dall_e(
    encoder: Any,
    decoder: Any,
    config: dict[str, Any] | None = None,
    image_size: int = _PUBLISHED_SIZE,
) -> Any:
    """Builds the image tokenizer of DALL-E's encoder and decoder.

    All sizes are read from the weights.

    Args:
        encoder, decoder: `ModuleRecord`, as `read_module` reads them.
        config: dict or `None`. Where its sections `encoder` and `decoder`
            tell sizes, they must be those of the weights; it may have
            `logit_laplace_eps`, by default 0.1 as published.
        image_size: int, side of the images in `image_shape`, 256 as
            published. The weights do not know it; the tokenizer takes
            others too.

    Returns:
        `keras_bidalle.image_tokenizers.DiscreteVAE`.

    Raises:
        ValueError: when a module is not the one expected, encoder and
            decoder do not fit each other or the configuration, or a key is
            missing, left over or of another shape.

    Reference:
        https://github.com/openai/DALL-E
    """
    config = config or {}
    encoder, decoder = _Half(encoder, "Encoder"), _Half(decoder, "Decoder")
    sizes = {"encoder": _encoder_sizes(encoder)}
    sizes["decoder"] = _decoder_sizes(decoder)
    _check_config(config, sizes)
    first, second = sizes["encoder"], sizes["decoder"]
    _check_same(first, second, "vocab_size", "vocab_size")
    _check_same(first, second, "group_count", "group_count")
    _check_same(first, second, "input_channels", "output_channels")
    multipliers = tuple(2**i for i in range(first["group_count"]))
    values = multipliers[-1] ** 2 * first["input_channels"]
    quantizer = GumbelQuantizer(
        first["vocab_size"],
        second["n_init"],
        input_dim=first["n_hid"] * multipliers[-1],
        kl_weight=_BETA / values,
    )
    model = DiscreteVAE(
        quantizer,
        image_shape=(image_size, image_size, first["input_channels"]),
        channels=first["n_hid"],
        channel_multipliers=multipliers,
        num_res_blocks=first["n_blk_per_group"],
        decoder_channels=second["n_hid"],
        decoder_num_res_blocks=second["n_blk_per_group"],
        epsilon=config.get("logit_laplace_eps", _DEFAULT_EPSILON),
    )
    encoder.reader.convolution("blocks.input", model.encoder.conv_in)
    encoder.blocks(model.encoder)
    encoder.reader.pointwise("blocks.output.conv", quantizer.projection)
    encoder.reader.finish()
    _codebook(decoder.reader, quantizer)
    decoder.blocks(model.decoder)
    decoder.reader.convolution("blocks.output.conv", model.decoder.conv_out)
    decoder.reader.finish()
    return model


def _codebook(links, quantizer):
    """The decoder's first convolution, of each one-hot code."""
    d, k = quantizer.code_dim, quantizer.num_codes
    links.link(
        [quantizer.embedding],
        {"blocks.input.weight": (d, k, 1, 1), "blocks.input.bias": (d,)},
        lambda kernel, bias: [kernel[:, :, 0, 0].T + bias],
        lambda value: [value.T[:, :, None, None], np.zeros(d, value.dtype)],
    )


class _Half:
    """One published module: its weights, and how its blocks are named.

    Args:
        module: `ModuleRecord`.
        kind: `"Encoder"` or `"Decoder"`.
    """

    def __init__(self, module, kind):
        self.kind = kind
        self.name = f"DALL-E's {kind.lower()}"
        if module.class_name.rpartition(".")[2] != kind:
            raise ValueError(
                f"A pickled `{kind}` was expected. "
                f"Received: `{module.class_name}`"
            )
        self.module = module
        arrays = module.tensors()
        self.reader = StateDictReader(
            {_torch_name(name): array for name, array in arrays.items()},
            self.name,
        )

    def shape(self, name):
        """The shape of a convolution's weights, (out, in, height, width)."""
        return self.reader.shape(f"blocks.{name}.weight", 4)

    def count(self, what, *path):
        """How many members `<what>_1`, `<what>_2`, ... a module has."""
        module = self.module.child("blocks", *path)
        names = {} if module is None else module.children()
        found = [n for n in names if re.fullmatch(rf"{what}_\d+", n)]
        if not found or set(found) != {
            f"{what}_{i + 1}" for i in range(len(found))
        }:
            raise ValueError(
                f"{self.name} must have modules `{what}_1`, `{what}_2`, ... "
                f"Received: {sorted(names)}"
            )
        return len(found)

    def block_sizes(self):
        return {
            "group_count": self.count("group"),
            "n_blk_per_group": self.count("block", "group_1"),
        }

    def blocks(self, half):
        """Assigns the weights of all bottleneck blocks."""
        for index, block in enumerate(half.bottlenecks):
            group, number = divmod(index, half.num_res_blocks)
            path = ("blocks", f"group_{group + 1}", f"block_{number + 1}")
            self._check_gain(path, block)
            name = ".".join(path)
            for i, layer in enumerate(block.convolutions):
                self.reader.convolution(f"{name}.res_path.conv_{i + 1}", layer)
            if block.shortcut is not None:
                self.reader.convolution(f"{name}.id_path", block.shortcut)

    def _check_gain(self, path, block):
        module = self.module.child(*path)
        if module is None:
            return  # Its weights are missing too, which will be reported.
        gain = module.attributes.get("post_gain", block.gain)
        if not isinstance(gain, float) or not np.isclose(gain, block.gain):
            raise ValueError(
                f"`{'.'.join(path)}` of {self.name} must have the gain "
                f"1 / num_layers**2, {block.gain:g}. Received: "
                f"post_gain={shown(gain)}"
            )


def _torch_name(name):
    """The names of that program's own convolution, as torch has them."""
    head, _, tail = name.rpartition(".")
    tail = {"w": "weight", "b": "bias"}.get(tail, tail)
    return f"{head}.{tail}" if head else tail


def _encoder_sizes(encoder):
    n_hid, channels = encoder.shape("input")[:2]
    return {
        "n_hid": n_hid,
        "input_channels": channels,
        "vocab_size": encoder.shape("output.conv")[0],
        **encoder.block_sizes(),
    }


def _decoder_sizes(decoder):
    n_init, vocab_size = decoder.shape("input")[:2]
    statistics, n_hid = decoder.shape("output.conv")[:2]
    return {
        "n_hid": n_hid,
        "output_channels": statistics // 2,
        "vocab_size": vocab_size,
        "n_init": n_init,
        **decoder.block_sizes(),
    }


def _check_config(config, sizes):
    for half, found in sizes.items():
        section = config.get(half)
        section = section if isinstance(section, dict) else {}
        for name, size in found.items():
            if section.get(name, size) != size:
                raise ValueError(
                    f"`{half}.{name}` of the configuration must be that of "
                    f"the weights, {size}. Received: {shown(section[name])}"
                )


def _check_same(encoder, decoder, name, decoder_name):
    if encoder[name] != decoder[decoder_name]:
        raise ValueError(
            f"Encoder and decoder do not fit: {name}={encoder[name]} and "
            f"{decoder_name}={decoder[decoder_name]}."
        )
