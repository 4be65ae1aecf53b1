"""Converts the image tokenizers of Open-MAGVIT2."""

from typing import Any

from keras_bidalle.converters.configs import model_section, required
from keras_bidalle.converters.vqgan import encoder_config, link_residual_block
from keras_bidalle.converters.weights import converted
from keras_bidalle.image_tokenizers import OpenMAGVIT2
from keras_bidalle.messages import shown
from keras_bidalle.quantizers import LFQ

# Keys of which every checkpoint has one, and no other program's.
ANCHORS = ("decoder.adaptive.0.gamma.weight",)


def convert_open_magvit2(
    state_dict: dict[str, Any], config: dict[str, Any]
) -> Any:
    """Builds the image tokenizer of an Open-MAGVIT2 checkpoint.

    Args:
        state_dict: dict from parameter name to array, as `read_state_dict`
            reads it from the published `.ckpt` (with `ema=True` the averaged
            weights, by which the program's figures are).
        config: dict, the program's YAML configuration or its model section:
            `ddconfig`, `n_embed`, `embed_dim`, and where given the weights
            of the entropy loss and, in `lossconfig`, of the losses.

    Returns:
        `keras_bidalle.image_tokenizers.OpenMAGVIT2` with an `LFQ`.

    Raises:
        ValueError: as `convert_te_vqgan`.

    Reference:
        https://github.com/TencentARC/SEED-Voken
    """
    config = model_section(config)
    encoder = encoder_config(config)

    def get(name):
        return required(encoder, name, "`ddconfig`")

    bits = required(config, "embed_dim")
    sizes = (required(config, "n_embed"), get("z_channels"))
    if type(bits) is not int or sizes != (2**bits, bits):
        raise ValueError(
            "`embed_dim` must be the bits of a code, `n_embed` 2 to that "
            "power, and `ddconfig.z_channels` as many. Received: "
            f"embed_dim={shown(bits)}, n_embed={shown(sizes[0])}, "
            f"z_channels={shown(sizes[1])}"
        )
    for name, known in (("double_z", False), ("out_ch", get("in_channels"))):
        if encoder.get(name, known) != known:
            raise ValueError(
                f"`ddconfig.{name}` must be {known}. "
                f"Received: {name}={shown(encoder[name])}"
            )
    side, pixels = get("resolution"), get("in_channels")

    def build(reader):
        return OpenMAGVIT2(
            LFQ(bits, **_weights(config)),
            image_shape=(side, side, pixels),
            channels=get("ch"),
            channel_multipliers=tuple(encoder.get("ch_mult", (1, 2, 2, 4))),
            num_res_blocks=get("num_res_blocks"),
        )

    return converted(
        state_dict, config, "Open-MAGVIT2", ANCHORS, build, link_open_magvit2
    )


def _weights(config):
    """The weights of the losses, as training goes on with them."""
    told = config.get("lossconfig")
    told = told.get("params", {}) if isinstance(told, dict) else {}
    clear = config.get("sample_minimization_weight", 1.0)
    even = config.get("batch_maximization_weight", 1.0)
    return {
        "commitment_weight": told.get("commit_weight", 0.25),
        "entropy_weight": told.get("codebook_weight", 1.0) * clear,
        "diversity_weight": even / clear if clear else 0.0,
    }


def link_open_magvit2(links, model):
    """Links an `OpenMAGVIT2` with the weights of that program."""
    links.ignore("loss.")
    encoder, decoder = model.encoder, model.decoder
    links.convolution("encoder.conv_in", encoder.conv_in)
    for i, level in enumerate(encoder.down):
        _blocks(links, f"encoder.down.{i}.block", level)
        if level.resample is not None:
            links.convolution(
                f"encoder.down.{i}.downsample", level.resample.conv
            )
    _ends(links, "encoder", encoder)
    links.convolution("decoder.conv_in", decoder.conv_in)
    for i, (norm, level) in enumerate(
        zip(decoder.adaptive, decoder.up, strict=True)
    ):
        links.linear(f"decoder.adaptive.{i}.gamma", norm.gamma)
        links.linear(f"decoder.adaptive.{i}.beta", norm.beta)
        _blocks(links, f"decoder.up.{i}.block", level)
        if level.resample is not None:
            links.convolution(
                f"decoder.up.{i}.upsample.conv1", level.resample.conv
            )
    _ends(links, "decoder", decoder)


def _ends(links, name, half):
    _blocks(links, f"{name}.mid_block", half.mid)
    links.norm(f"{name}.norm_out", half.norm_out)
    links.convolution(f"{name}.conv_out", half.conv_out)


def _blocks(links, name, blocks):
    for i, block in enumerate(blocks.block):
        link_residual_block(links, f"{name}.{i}", block)
