"""Converts RQ-VAE checkpoints.

Encoder, decoder and their keys are VQGAN's; the codebooks, one key prefix for
each depth, have a row of padding at their end and come with their running
statistics.
"""

from typing import Any

import numpy as np

from keras_bidalle.converters.configs import arch_section, required
from keras_bidalle.converters.vqgan import (
    ANCHORS,
    encoder_config,
    link_vqgan,
    vqgan_arguments,
)
from keras_bidalle.converters.weights import converted
from keras_bidalle.image_tokenizers import RQVAE
from keras_bidalle.messages import shown
from keras_bidalle.quantizers import (
    EMAVectorQuantizer,
    LatentPatchQuantizer,
    ResidualQuantizer,
    RestartingVectorQuantizer,
)

# What the published program takes where a configuration is silent.
_DEFAULT_DECAY = 0.99
_DEFAULT_BETA = 0.25

_CODEBOOK = "quantizer.codebooks.{}"


def convert_rq_vae(state_dict: dict[str, Any], config: dict[str, Any]) -> Any:
    """Builds the image tokenizer of an RQ-VAE checkpoint.

    Args:
        state_dict: dict from parameter name to array, as `read_state_dict`
            reads it from the program's `model.pt`.
        config: dict, the program's configuration or its `arch` section:
            `ddconfig`, and `hparams` with `n_embed`, `embed_dim`,
            `latent_shape`, `code_shape`, and where given
            `shared_codebook`, `decay`, `restart_unused_codes` and
            `latent_loss_weight`.

    Returns:
        `keras_bidalle.image_tokenizers.RQVAE`.

    Raises:
        ValueError: as `convert_te_vqgan`.

    Reference:
        https://github.com/kakaobrain/rq-vae-transformer
    """
    config = arch_section(config)
    options = required(config, "hparams")
    latent, code = _shapes(options)
    arguments = _of_grid(vqgan_arguments(encoder_config(config)), latent)

    def build(reader):
        return RQVAE(_quantizer(options, latent, code), **arguments)

    return converted(state_dict, config, "RQ-VAE", ANCHORS, build, link_rq_vae)


def link_rq_vae(links, model):
    """Links an `RQVAE` with the weights of that program."""
    link_vqgan(links, model, _link_codebooks)


def is_rq_vae(config):
    """Whether a configuration is of an RQ-VAE."""
    return arch_section(config).get("type") == "rq-vae"


def _shapes(options):
    """The shapes of latents (h, w, C) and of codes (h', w', D)."""
    if options.get("bottleneck_type", "rq") != "rq":
        raise ValueError(
            "`hparams.bottleneck_type` must be 'rq'. Received: "
            f"bottleneck_type={shown(options['bottleneck_type'])}"
        )
    latent = required(options, "latent_shape", "`hparams`")
    code = required(options, "code_shape", "`hparams`")
    for shape in (latent, code):
        if (
            not isinstance(shape, list | tuple)
            or len(shape) != 3
            or not all(type(side) is int and side > 0 for side in shape)
        ):
            break
    else:
        rows, columns = (latent[i] / code[i] for i in range(2))
        if rows == columns and rows.is_integer():
            return tuple(latent), tuple(code)
    raise ValueError(
        "`hparams.code_shape` must be (height, width, depth), a code for each "
        "latent of `hparams.latent_shape` (height, width, channels) or for "
        f"each square of them. Received: code_shape={shown(code)}, "
        f"latent_shape={shown(latent)}"
    )


def _of_grid(arguments, latent):
    """The arguments of our tokenizer for pictures with such latents."""
    halvings = len(arguments["channel_multipliers"]) - 1
    sides = [side << halvings for side in latent[:2]]
    (resolution, *_, channels) = arguments["image_shape"]
    if resolution not in sides:
        raise ValueError(
            "`hparams.latent_shape` must be the grid that `ddconfig` makes of "
            f"a picture with a side of `ddconfig.resolution`={resolution}, a "
            f"{2**halvings}th of its height and width. "
            f"Received: latent_shape={shown(latent)}"
        )
    # The program counts the maps with attention from `resolution`, and ours
    # from the height.
    attention = {
        sides[0] >> level
        for level in range(halvings + 1)
        if resolution >> level in arguments["attention_resolutions"]
    }
    return {
        **arguments,
        "image_shape": (*sides, channels),
        "attention_resolutions": tuple(sorted(attention, reverse=True)),
    }


def _quantizer(options, latent, code):
    patch_size, depth = latent[0] // code[0], code[2]
    sizes = _each_depth(required(options, "n_embed", "`hparams`"), depth)
    decays = _each_depth(options.get("decay", _DEFAULT_DECAY), depth)
    channels = required(options, "embed_dim", "`hparams`")
    if channels != latent[2]:
        raise ValueError(
            "`hparams.embed_dim` must be the channels of "
            f"`hparams.latent_shape`, {latent[2]}. "
            f"Received: embed_dim={shown(channels)}"
        )

    def codebook(size, decay):
        arguments = {
            "num_codes": size,
            "code_dim": channels * patch_size**2,
            "decay": decay,
        }
        if options.get("restart_unused_codes", False):
            return RestartingVectorQuantizer(**arguments)
        return EMAVectorQuantizer(
            **arguments, kmeans_steps=0, revival_share=0.0
        )

    books = list(zip(sizes, decays, strict=True))
    shared = options.get("shared_codebook", False)
    if shared and len(set(books)) > 1:
        raise ValueError(
            "`hparams.shared_codebook` needs one `n_embed` and one `decay` "
            f"for all depths. Received: n_embed={shown(sizes)}, "
            f"decay={shown(decays)}"
        )
    quantizer = ResidualQuantizer(
        codebook(*books[0]) if shared else [codebook(*book) for book in books],
        code_depth=depth,
        commitment_weight=options.get("latent_loss_weight", _DEFAULT_BETA),
    )
    if patch_size == 1:
        return quantizer
    return LatentPatchQuantizer(quantizer, patch_size)


def _each_depth(value, depth):
    values = list(value) if isinstance(value, list | tuple) else [value] * depth
    if len(values) != depth:
        raise ValueError(
            f"`hparams` must have one value for each of {depth} depths. "
            f"Received: {value}"
        )
    return values


def _link_codebooks(links, quantizer):
    if isinstance(quantizer, LatentPatchQuantizer):
        quantizer = quantizer.quantizer
    for number, part in enumerate(quantizer.quantizers):
        name = _CODEBOOK.format(number)
        # The last row stands for no code.
        links.link(
            [part.embedding],
            {f"{name}.weight": (part.num_codes + 1, part.code_dim)},
            lambda array: [array[:-1]],
            lambda value: [np.pad(value, ((0, 1), (0, 0)))],
        )
        links.into(f"{name}.cluster_size_ema", part.cluster_size)
        links.into(f"{name}.embed_ema", part.embed_sum)
    # A shared codebook is saved under the name of each depth.
    for number in range(len(quantizer.quantizers), quantizer.code_depth):
        for part in ("weight", "cluster_size_ema", "embed_ema"):
            links.copy_of(
                f"{_CODEBOOK.format(number)}.{part}",
                f"{_CODEBOOK.format(0)}.{part}",
            )
