"""Converts VQGAN (CompVis), Gumbel VQGAN, IBQ and TE-VQGAN checkpoints.

The programs share their encoder, decoder and key names. They differ in the
quantizer, and TE-VQGAN's encoder also in its borders and its way down.
"""

import functools
from typing import Any

import numpy as np

from keras_bidalle.converters.configs import model_section, one_of, required
from keras_bidalle.converters.weights import converted
from keras_bidalle.image_tokenizers import VQGAN
from keras_bidalle.image_tokenizers.downsampling import (
    DOWNSAMPLINGS,
    BlurPool,
)
from keras_bidalle.messages import shown
from keras_bidalle.quantizers import (
    IBQ,
    GumbelQuantizer,
    OrthogonalVectorQuantizer,
    VectorQuantizer,
)
from keras_bidalle.validation import refused

# What the published programs take where a configuration is silent.
_DEFAULT_BETA = 0.25
_DEFAULT_KL_WEIGHT = 1e-8
_DISTANCES = {"L2": "l2", "cos_sim": "cosine"}

# Keys of which every checkpoint has one.
ANCHORS = ("encoder.conv_in.weight", "encoder.conv_in.1.weight")
# Keys that only TE-VQGAN's configurations have.
_TE_KEYS = {
    *("ortho_reg_coef", "force_emb_len_1"),
    *("distance_measure", "eq_metric_dataset"),
}
_TE_ENCODER_KEYS = {"downsampling_method", "use_replicationpad", "version"}


def convert_te_vqgan(state_dict: dict[str, Any], config: dict[str, Any]) -> Any:
    """Builds the image tokenizer of a TE-VQGAN checkpoint.

    Args:
        state_dict: dict from parameter name to array, as `read_state_dict`
            reads it from the program's `last.ckpt`.
        config: dict, the program's YAML configuration or its model section:
            `ddconfig`, `n_embed`, `embed_dim`, and where given
            `ortho_reg_coef`, `force_emb_len_1`, `distance_measure`, `beta`.

    Returns:
        `keras_bidalle.image_tokenizers.VQGAN` with an
        `OrthogonalVectorQuantizer`.

    Raises:
        ValueError: when the configuration asks for something unknown, or a
            key of the checkpoint is missing, left over or of another shape.

    Reference:
        https://github.com/wcshin-git/TE-VQGAN
    """
    config = model_section(config)
    quantizer = functools.partial(
        OrthogonalVectorQuantizer,
        num_codes=required(config, "n_embed"),
        code_dim=required(config, "embed_dim"),
        commitment_weight=config.get("beta", _DEFAULT_BETA),
        orthogonality=config.get("ortho_reg_coef", 0.0),
        unit_length=config.get("force_emb_len_1", False),
        distance=one_of(
            _DISTANCES, "distance_measure", config.get("distance_measure", "L2")
        ),
    )
    return _convert(state_dict, config, quantizer, "TE-VQGAN")


def convert_vqgan(state_dict: dict[str, Any], config: dict[str, Any]) -> Any:
    """Builds the image tokenizer of a VQGAN, Gumbel VQGAN or IBQ checkpoint.

    Args:
        state_dict: dict from parameter name to array, as `read_state_dict`
            reads it from the program's `last.ckpt`.
        config: dict, the program's YAML configuration or its model section:
            `ddconfig`, `n_embed`, `embed_dim`, and where given `beta`,
            `legacy` (whether beta weighs the codebook's term, as the
            program does by default), `kl_weight`, and of IBQ
            `entropy_temperature` and the losses' weights.

    Returns:
        `keras_bidalle.image_tokenizers.VQGAN` with a `VectorQuantizer`, a
        `GumbelQuantizer` or an `IBQ`.

    Raises:
        ValueError: as `convert_te_vqgan`.

    Reference:
        https://github.com/CompVis/taming-transformers; IBQ:
        https://github.com/TencentARC/SEED-Voken
    """
    config = model_section(config)
    if config.get("remap"):
        raise ValueError(
            "`remap` (a checkpoint with some of its codes only) is not "
            f"supported. Received: remap={shown(config['remap'])}"
        )
    sizes = {
        "num_codes": required(config, "n_embed"),
        "code_dim": required(config, "embed_dim"),
    }
    if is_gumbel(state_dict, config):
        quantizer = functools.partial(
            GumbelQuantizer,
            **sizes,
            input_dim=required(
                encoder_config(config), "z_channels", "`ddconfig`"
            ),
            kl_weight=config.get("kl_weight", _DEFAULT_KL_WEIGHT),
            hard=True,
        )
        return _convert(state_dict, config, quantizer, "Gumbel VQGAN")
    beta = config.get("beta", _DEFAULT_BETA)
    if str(config.get("target", "")).endswith("ibqgan.IBQ"):
        quantizer = functools.partial(IBQ, **sizes, **_ibq_weights(config))
        return _convert(state_dict, config, quantizer, "IBQ")
    weights = {"commitment_weight": beta, "codebook_weight": 1.0}
    if config.get("legacy", config.get("kind") != "vq"):
        # The first programs had beta on the other term.
        weights = {"commitment_weight": 1.0, "codebook_weight": beta}
    quantizer = functools.partial(VectorQuantizer, **sizes, **weights)
    return _convert(state_dict, config, quantizer, "VQGAN")


def _ibq_weights(config):
    """What an `IBQ` of the program's configuration is trained with."""
    told = config.get("lossconfig")
    told = told.get("params", {}) if isinstance(told, dict) else {}
    entropy = told.get("entropy_loss_weight", 1.0)
    return {
        "codebook_weight": config.get("beta", _DEFAULT_BETA),
        "entropy_weight": entropy if config.get("use_entropy_loss") else 0.0,
        "temperature": config.get("entropy_temperature", 0.01),
    }


def is_vqgan(config):
    """Whether a configuration is of a VQGAN."""
    return "ddconfig" in config


def is_te_vqgan(config):
    """Whether a configuration is TE-VQGAN's and not that of its ancestor."""
    encoder = config.get("ddconfig")
    return isinstance(encoder, dict) and bool(
        _TE_KEYS.intersection(config) or _TE_ENCODER_KEYS.intersection(encoder)
    )


def is_gumbel(state_dict, config):
    """Whether a VQGAN checkpoint has a Gumbel quantizer."""
    return (
        config.get("kind") == "gumbel"
        or str(config.get("target", "")).endswith("GumbelVQ")
        or any(name.endswith("quantize.proj.weight") for name in state_dict)
    )


def _convert(state_dict, config, quantizer, source):
    arguments = vqgan_arguments(encoder_config(config))
    return converted(
        *(state_dict, config, source, ANCHORS),
        build=lambda reader: VQGAN(quantizer(), **arguments),
        link=link_tokenizer,
    )


def link_tokenizer(links, model):
    """Links a `VQGAN` with the weights of these three programs."""
    link_vqgan(links, model, _link_quantizer)


def link_vqgan(links, model, link_quantizer):
    """Links a `VQGAN` or a model that is one but for its quantizer."""
    # Discriminator and perceptual network: only training needs them.
    links.ignore("loss.")
    link_encoder(links, model.encoder)
    links.convolution("quant_conv", model.quant_conv)
    link_quantizer(links, model.quantizer)
    links.convolution("post_quant_conv", model.post_quant_conv)
    link_decoder(links, model.decoder)


def encoder_config(config):
    """The encoder's section of a configuration, a dict."""
    encoder = required(config, "ddconfig")
    if not isinstance(encoder, dict):
        raise refused("hold the encoder's options", ddconfig=encoder)
    return encoder


def vqgan_arguments(config):
    """The arguments of our `VQGAN` for a published `ddconfig`."""

    def get(name):
        return required(config, name, "`ddconfig`")

    for name, known in (
        ("resamp_with_conv", (True,)),
        ("give_pre_end", (False,)),
        ("tanh_out", (False,)),
        ("use_linear_attn", (False,)),
        ("attn_type", ("vanilla",)),
        ("version", ("v1", "v2")),
        ("out_ch", (get("in_channels"),)),
        ("downsampling_method", DOWNSAMPLINGS),
    ):
        if name in config and config[name] not in known:
            raise ValueError(
                f"`ddconfig.{name}` must be one of {tuple(known)}. "
                f"Received: {name}={shown(config[name])}"
            )
    method = config.get("downsampling_method", "strided_conv")
    replicate = bool(config.get("use_replicationpad", False))
    return {
        "image_shape": (
            *(get("resolution"), get("resolution")),
            get("in_channels"),
        ),
        "channels": get("ch"),
        "channel_multipliers": tuple(config.get("ch_mult", (1, 2, 4, 8))),
        "num_res_blocks": get("num_res_blocks"),
        "attention_resolutions": tuple(get("attn_resolutions")),
        "dropout": config.get("dropout", 0.0),
        "z_channels": get("z_channels"),
        "downsampling": method,
        "encoder_padding_mode": "replication" if replicate else "zero",
        **_downsampling_padding(
            method, replicate, config.get("version", "v1") == "v2"
        ),
    }


def _downsampling_padding(method, replicate, is_v2):
    """How TE-VQGAN pads the convolutions that halve the map.

    Version 1 with zeros; version 2 a strided one like the rest of the
    encoder, and one before a blur always by replication.
    """
    wanted = is_v2 and (replicate or method == "convblurpool")
    if method not in ("strided_conv", "convblurpool") or wanted == replicate:
        return {}
    return {"downsampling_padding_mode": "replication" if wanted else "zero"}


def link_encoder(links, encoder, name="encoder"):
    """Links the weights under `name` with a `VQGANEncoder`."""
    # Replication padding is a module of its own before the convolution.
    inner = ".1" if encoder.padding_mode == "replication" else ""
    links.convolution(f"{name}.conv_in{inner}", encoder.conv_in)
    for i, level in enumerate(encoder.down):
        _level(links, f"{name}.down.{i}", level, inner)
        if level.resample is not None:
            _downsampling(links, f"{name}.down.{i}.downsample", level)
    _ends(links, name, encoder, inner)


def link_decoder(links, decoder, name="decoder"):
    """Links the weights under `name` with a `VQGANDecoder`."""
    links.convolution(f"{name}.conv_in", decoder.conv_in)
    for i, level in enumerate(decoder.up):
        _level(links, f"{name}.up.{i}", level, "")
        if level.resample is not None:
            links.convolution(
                f"{name}.up.{i}.upsample.conv", level.resample.conv
            )
    _ends(links, name, decoder, "")


def _ends(links, name, half, inner):
    link_residual_block(links, f"{name}.mid.block_1", half.mid.block_1, inner)
    if half.mid.attn_1 is not None:
        link_attention(links, f"{name}.mid.attn_1", half.mid.attn_1)
    link_residual_block(links, f"{name}.mid.block_2", half.mid.block_2, inner)
    links.norm(f"{name}.norm_out", half.norm_out)
    links.convolution(f"{name}.conv_out{inner}", half.conv_out)


def _level(links, name, level, inner):
    for i, block in enumerate(level.block):
        link_residual_block(links, f"{name}.block.{i}", block, inner)
    for i, attention in enumerate(level.attn):
        link_attention(links, f"{name}.attn.{i}", attention)


def link_residual_block(links, name, block, inner=""):
    """Links the weights under `name` with a `ResidualBlock`.

    `inner` is what stands in the names of 3x3 convolutions after their own.
    """
    links.norm(f"{name}.norm1", block.norm1)
    links.convolution(f"{name}.conv1{inner}", block.conv1)
    links.norm(f"{name}.norm2", block.norm2)
    links.convolution(f"{name}.conv2{inner}", block.conv2)
    if block.nin_shortcut is not None:
        links.convolution(f"{name}.nin_shortcut", block.nin_shortcut)


def link_attention(links, name, attention):
    """Links the weights under `name` with a `SpatialAttention`."""
    links.norm(f"{name}.norm", attention.norm)
    for part in ("q", "k", "v", "proj_out"):
        links.convolution(f"{name}.{part}", getattr(attention, part))


def _downsampling(links, name, level):
    layer = level.resample
    has_blur = isinstance(getattr(layer, "blur", None), BlurPool)
    if hasattr(layer, "conv"):
        links.convolution(
            f"{name}.module.0" if has_blur else f"{name}.conv", layer.conv
        )
    if has_blur:
        row = np.array([1.0, 4.0, 6.0, 4.0, 1.0]) / 16.0
        filters = np.outer(row, row)[None, None].repeat(level.channels, 0)
        links.constant(f"{name}.module.1.filt", filters)


def _link_quantizer(links, quantizer):
    if not isinstance(quantizer, GumbelQuantizer):
        links.into("quantize.embedding.weight", quantizer.embedding)
        return
    links.into("quantize.embed.weight", quantizer.embedding)
    links.pointwise("quantize.proj", quantizer.projection)
