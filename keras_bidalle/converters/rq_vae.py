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
    arguments = vqgan_arguments(encoder_config(config))

    def build(reader):
        model = RQVAE(_quantizer(options, _depth(options)), **arguments)
        if model.code_shape != tuple(options["code_shape"]):
            raise ValueError(
                "`hparams.code_shape` must be the grid that `ddconfig` makes "
                f"of a picture, with the depth: {model.code_shape}. "
                f"Received: code_shape={shown(options['code_shape'])}"
            )
        return model

    return converted(state_dict, "RQ-VAE", ANCHORS, build, link_rq_vae)


def link_rq_vae(links, model):
    """Links an `RQVAE` with the weights of that program."""
    link_vqgan(links, model, _link_codebooks)


def is_rq_vae(config):
    """Whether a configuration is of an RQ-VAE."""
    return arch_section(config).get("type") == "rq-vae"


def _depth(options):
    if options.get("bottleneck_type", "rq") != "rq":
        raise ValueError(
            "`hparams.bottleneck_type` must be 'rq'. Received: "
            f"bottleneck_type={options['bottleneck_type']!r}"
        )
    latent = required(options, "latent_shape", "`hparams`")
    code = required(options, "code_shape", "`hparams`")
    if len(code) != 3 or list(latent[:2]) != list(code[:2]):
        raise ValueError(
            "`hparams.code_shape` must be (height, width, depth) with the "
            "height and width of `hparams.latent_shape`. Received: "
            f"code_shape={code}, latent_shape={latent}"
        )
    return int(code[-1])


def _quantizer(options, depth):
    sizes = _each_depth(required(options, "n_embed", "`hparams`"), depth)
    if len(set(sizes)) > 1:
        raise ValueError(
            "`hparams.n_embed` must be the same for each depth. "
            f"Received: n_embed={options['n_embed']}"
        )
    decays = _each_depth(options.get("decay", _DEFAULT_DECAY), depth)

    def codebook(decay):
        arguments = {
            "num_codes": sizes[0],
            "code_dim": required(options, "embed_dim", "`hparams`"),
            "decay": decay,
        }
        if options.get("restart_unused_codes", False):
            return RestartingVectorQuantizer(**arguments)
        return EMAVectorQuantizer(
            **arguments, kmeans_steps=0, revival_share=0.0
        )

    shared = options.get("shared_codebook", False)
    return ResidualQuantizer(
        codebook(decays[0]) if shared else [codebook(d) for d in decays],
        code_depth=depth,
        commitment_weight=options.get("latent_loss_weight", _DEFAULT_BETA),
    )


def _each_depth(value, depth):
    values = list(value) if isinstance(value, list | tuple) else [value] * depth
    if len(values) != depth:
        raise ValueError(
            f"`hparams` must have one value for each of {depth} depths. "
            f"Received: {value}"
        )
    return values


def _link_codebooks(links, quantizer):
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
