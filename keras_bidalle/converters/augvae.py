"""Converts AugVAE checkpoints of L-Verse, multi-level and single-level.

Each level has an encoder and a decoder with VQGAN's keys. The codebook and
the kernels before and after it are shared, and saved once for each level.
"""

from typing import Any

import numpy as np

from keras_bidalle.converters.configs import required
from keras_bidalle.converters.vqgan import link_decoder, link_encoder
from keras_bidalle.converters.weights import converted
from keras_bidalle.image_tokenizers import AugVAE, SingleLevelAugVAE
from keras_bidalle.messages import shown
from keras_bidalle.quantizers import EMAVectorQuantizer

# What the published program takes where a configuration is silent.
_DEFAULT_BETA = 0.25
_DEFAULT_DECAY = 0.99
_DEFAULT_EPSILON = 1e-5
_DEFAULT_RESOLUTION = 256
# The multipliers of all levels but the first, where there is none to see.
_NEXT_MULTIPLIERS = (2, 4)

_KEYS = ("attn_resolutions", "codebook_dim", "hidden_dim", "num_tokens")
_CODEBOOK = "quantizers.{}.embedding"


def convert_augvae(
    state_dict: dict[str, Any],
    config: dict[str, Any],
    told: dict[str, Any] | None = None,
) -> Any:
    """Builds the image tokenizer of an AugVAE checkpoint.

    Args:
        state_dict: dict from parameter name to array, as `read_state_dict`
            reads it from the program's checkpoint.
        config: dict, the program's arguments, or those that differ from its
            defaults: `resolution`, `attn_resolutions` (the sides of the
            levels), `quant_beta`, `quant_ema_decay`, `quant_ema_eps`,
            `dropout`, and the sizes that the weights tell too. A
            single-level model has `finetune`, and its level's side in
            `ft_attn_resolutions` or, as published, in `attn_resolutions`.
        told: dict or `None`, the arguments that the checkpoint itself tells:
            they hold where `config` is silent.

    Returns:
        `keras_bidalle.image_tokenizers.AugVAE`, or with `finetune` a
        `SingleLevelAugVAE` that is trained as published, with
        `quantize_finer_levels`.

    Raises:
        ValueError: as `convert_te_vqgan`.

    Reference:
        https://github.com/lgai-research/L-Verse
    """
    left = []

    def build(reader):
        complete = _completed(config, told or {}, reader)
        sides = list(complete["attn_resolutions"])
        quantizer = EMAVectorQuantizer(
            num_codes=complete["num_tokens"],
            code_dim=complete["codebook_dim"],
            commitment_weight=complete.get("quant_beta", _DEFAULT_BETA),
            decay=complete.get("quant_ema_decay", _DEFAULT_DECAY),
            epsilon=complete.get("quant_ema_eps", _DEFAULT_EPSILON),
            kmeans_steps=0,
            revival_share=0.0,
        )
        arguments = _arguments(complete, reader)
        if complete.get("finetune"):
            model = _single_level(complete, quantizer, arguments, sides)
        else:
            model = AugVAE(quantizer, num_levels=len(sides), **arguments)
            _check_sides(model, sides)
        # A single level leaves codebooks and kernels of those that are gone.
        left[:] = range(len(model.encoder.encoders), len(sides))
        return model

    def link(links, model):
        link_augvae(links, model, left)

    anchors = ("encoders.0.conv_in.weight",)
    return converted(state_dict, config, "AugVAE", anchors, build, link)


def link_augvae(links, model, left=()):
    """Links an `AugVAE` or `SingleLevelAugVAE`.

    Args:
        links: `WeightLinks`.
        model: the model.
        left: sequence of int, the levels that only the checkpoint has.
    """
    # The perceptual network: only training needs it.
    links.ignore("loss.")
    levels = range(len(model.encoder.encoders))
    _projection(links, model.quant_conv, "pre_quants", levels)
    if isinstance(model, SingleLevelAugVAE):
        # The program decodes with the first of these, whichever the level.
        links.convolution("post_quants.0", model.post_quant_conv)
        for number, connector in enumerate(model.decoder.connectors):
            links.convolution(f"connectors.{number}", connector)
        links.ignore(*(f"pre_quants.{number}." for number in left))
        links.ignore(*(f"post_quants.{n}." for n in (*levels[1:], *left)))
    else:
        # Numbered as the decoders are, coarse to fine.
        _projection(links, model.post_quant_conv, "post_quants", levels[::-1])
    for number, encoder in enumerate(model.encoder.encoders):
        link_encoder(links, encoder, f"encoders.{number}")
    for number, decoder in enumerate(model.decoder.decoders):
        link_decoder(links, decoder, f"decoders.{number}")
    copies = [n for n in left if f"{_CODEBOOK.format(n)}.weight" in links]
    _codebook(links, model.codebook, [*levels, *copies])


def is_augvae(config):
    """Whether a configuration is of an AugVAE."""
    return all(key in config for key in _KEYS)


def _completed(config, told, reader):
    """A configuration with what it leaves to the checkpoint."""
    first = "encoders.0"
    hidden, pixels = reader.shape(f"{first}.conv_in.weight", 4)[:2]
    block = f"{first}.down.{{}}.block.{{}}.conv1.weight"
    multipliers, blocks, levels = [], 0, 0
    while block.format(len(multipliers), 0) in reader:
        width = reader.shape(block.format(len(multipliers), 0), 4)[0]
        multipliers.append(width // hidden)
    while block.format(0, blocks) in reader:
        blocks += 1
    while f"pre_quants.{levels}.weight" in reader:
        levels += 1
    codes, dim = reader.shape(_CODEBOOK.format(0) + ".weight", 2)
    seen = {
        "num_tokens": codes,
        "codebook_dim": dim,
        "hidden_dim": hidden,
        "in_channels": pixels,
        "ch_mult": multipliers,
        "num_res_blocks": blocks,
        "z_channels": reader.shape(f"{first}.conv_out.weight", 4)[0],
        "use_attn": f"{first}.mid.attn_1.q.weight" in reader,
    }
    found = {**seen, **told, **config}
    is_single = found.get("finetune") and "ft_attn_resolutions" not in found
    if is_single and "attn_resolutions" in config:
        # The file of a single level names it as all levels are named.
        if len(config["attn_resolutions"]) == 1:
            found["ft_attn_resolutions"] = config["attn_resolutions"]
            found.pop("attn_resolutions")
            if "attn_resolutions" in told:
                found["attn_resolutions"] = told["attn_resolutions"]
    factor = 2 ** (len(found["ch_mult"]) - 1)
    if "attn_resolutions" in found:
        side = found["attn_resolutions"][0] * factor
        found.setdefault("resolution", side)
    side = found.setdefault("resolution", _DEFAULT_RESOLUTION) // factor
    sides = [side // 2**level for level in range(levels)]
    found.setdefault("attn_resolutions", sides)
    if found.get("finetune"):
        kept = sum(f"encoders.{n}.conv_in.weight" in reader for n in range(99))
        level = found["attn_resolutions"][kept - 1 : kept]
        found.setdefault("ft_attn_resolutions", level)
    return found


def _arguments(config, reader):
    pixels = required(config, "in_channels")
    for name, known in (("double_z", False), ("out_channels", pixels)):
        if config.get(name, known) != known:
            raise ValueError(
                f"`{name}` must be {known}. Received: {shown(config[name])}"
            )
    side = required(config, "resolution")
    return {
        "image_shape": (side, side, pixels),
        "channels": required(config, "hidden_dim"),
        "channel_multipliers": tuple(required(config, "ch_mult")),
        "next_channel_multipliers": _next_multipliers(config, reader),
        "num_res_blocks": required(config, "num_res_blocks"),
        "attention": bool(config.get("use_attn", False)),
        "dropout": config.get("dropout", 0.0),
        "z_channels": required(config, "z_channels"),
    }


def _next_multipliers(config, reader):
    """Those of the second encoder, which no configuration tells."""
    name = "encoders.1.down.{}.block.0.conv1.weight"
    multipliers = []
    while name.format(len(multipliers)) in reader:
        width = reader.shape(name.format(len(multipliers)), 4)[0]
        multipliers.append(width // required(config, "hidden_dim"))
    return tuple(multipliers) or _NEXT_MULTIPLIERS


def _check_sides(model, sides):
    found = [shape[0] for shape in model.level_shapes]
    if found != sides:
        raise ValueError(
            "`attn_resolutions` must be the sides of the levels, "
            f"{found} by `resolution` and `ch_mult`. "
            f"Received: attn_resolutions={sides}"
        )


def _single_level(config, quantizer, arguments, sides):
    kept = list(required(config, "ft_attn_resolutions"))
    if len(kept) != 1 or kept[0] not in sides[:-1]:
        raise ValueError(
            "`ft_attn_resolutions` must be one of `attn_resolutions` other "
            f"than the last, {sides[:-1]}. "
            f"Received: ft_attn_resolutions={kept}"
        )
    count = sides.index(kept[0]) + 1
    model = SingleLevelAugVAE(
        quantizer, num_levels=count, quantize_finer_levels=True, **arguments
    )
    if model.code_shape != (kept[0], kept[0]):
        raise ValueError(
            "`ft_attn_resolutions` must be the side of its level, "
            f"{model.code_shape[0]} by `resolution` and `ch_mult`. "
            f"Received: ft_attn_resolutions={kept}"
        )
    return model


def _projection(links, stage, name, order):
    """A shared kernel, and the bias of each level, fine to coarse."""
    links.pointwise_kernel(f"{name}.0", stage.kernel)
    for number in range(1, len(order)):
        links.copy_of(f"{name}.{number}.weight", f"{name}.0.weight")
    links.link(
        [stage.bias],
        {f"{name}.{number}.bias": stage.bias.shape[1:] for number in order},
        lambda *biases: [np.stack(biases)],
        list,
    )


def _codebook(links, quantizer, levels):
    for part, variable in (
        ("weight", quantizer.embedding),
        ("cluster_size", quantizer.cluster_size),
        ("embed_avg", quantizer.embed_sum),
    ):
        first, *others = (f"{_CODEBOOK.format(n)}.{part}" for n in levels)
        links.into(first, variable)
        for other in others:
            links.copy_of(other, first)
