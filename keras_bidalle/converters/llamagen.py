"""Converts the image tokenizers of LlamaGen.

They are VQGANs with other key names, and codes of few channels that are
searched by cosine. Their checkpoints come without a configuration: all sizes
are told by the weights.
"""

import itertools
from typing import Any

from keras_bidalle.converters.vqgan import (
    link_attention,
    link_residual_block,
)
from keras_bidalle.converters.weights import converted
from keras_bidalle.image_tokenizers import VQGAN
from keras_bidalle.messages import shown
from keras_bidalle.quantizers import VectorQuantizer

# Keys of which every checkpoint has one, and no other program's.
ANCHORS = ("encoder.conv_blocks.0.res.0.conv1.weight",)
_BLOCK = "encoder.conv_blocks.{}.res.{}.conv1.weight"


def convert_llamagen(
    state_dict: dict[str, Any], config: dict[str, Any] | None = None
) -> Any:
    """Builds the image tokenizer of a LlamaGen checkpoint.

    Args:
        state_dict: dict from parameter name to array, as `read_state_dict`
            reads it from the published `vq_ds16_c2i.pt` and its like.
        config: dict or `None`, the arguments of its training program, as
            its own checkpoints have them: `image_size` (256 where it is
            silent; any size that the factor divides will do),
            `codebook_l2_norm` and `commit_loss_beta`. Its entropy loss, of
            which the published weight is 0, is left out.

    Returns:
        `keras_bidalle.image_tokenizers.VQGAN` with a `VectorQuantizer` that
        has `normalize=True`.

    Raises:
        ValueError: when an argument is out of its range, or a key of the
            checkpoint is missing, left over or of another shape.

    Reference:
        https://github.com/FoundationVision/LlamaGen
    """
    config = config or {}
    side = config.get("image_size", 256)
    if type(side) is not int or side < 1:
        raise ValueError(
            "`image_size` must be a positive integer. "
            f"Received: image_size={shown(side)}"
        )

    def build(reader):
        channels, pixels, *_ = reader.shape("encoder.conv_in.weight", 4)
        z_channels, *_ = reader.shape("encoder.conv_out.weight", 4)
        codes = reader.shape("quantize.embedding.weight", 2)
        widths = [
            reader.shape(_BLOCK.format(level, 0), 4)[0]
            for level in _count(reader, lambda i: _BLOCK.format(i, 0))
        ]
        return VQGAN(
            VectorQuantizer(
                *codes,
                normalize=bool(config.get("codebook_l2_norm", True)),
                commitment_weight=config.get("commit_loss_beta", 0.25),
            ),
            image_shape=(side, side, pixels),
            channels=channels,
            channel_multipliers=tuple(width // channels for width in widths),
            num_res_blocks=len(_count(reader, lambda i: _BLOCK.format(0, i))),
            # At the smallest size alone.
            attention_resolutions=(side >> (len(widths) - 1),),
            dropout=config.get("dropout_p", 0.0),
            z_channels=z_channels,
            encoder_padding_mode="zero",
        )

    return converted(
        state_dict, config, "LlamaGen", ANCHORS, build, link_llamagen
    )


def _count(reader, name):
    """The numbers of those keys, from 0 on, that are there: a range."""
    return range(next(i for i in itertools.count() if name(i) not in reader))


def link_llamagen(links, model):
    """Links a `VQGAN` with the weights of that program."""
    links.ignore("quantize.codebook_used")
    encoder, decoder = model.encoder, model.decoder
    last = len(encoder.down) - 1
    links.convolution("encoder.conv_in", encoder.conv_in)
    for i, level in enumerate(encoder.down):
        _level(links, f"encoder.conv_blocks.{i}", level, "downsample")
    _ends(links, "encoder", encoder)
    links.convolution("quant_conv", model.quant_conv)
    links.into("quantize.embedding.weight", model.quantizer.embedding)
    links.convolution("post_quant_conv", model.post_quant_conv)
    links.convolution("decoder.conv_in", decoder.conv_in)
    for i, level in enumerate(decoder.up):
        # In the order in which they are applied.
        _level(links, f"decoder.conv_blocks.{last - i}", level, "upsample")
    _ends(links, "decoder", decoder)


def _level(links, name, level, resample):
    for i, block in enumerate(level.block):
        link_residual_block(links, f"{name}.res.{i}", block)
    for i, attention in enumerate(level.attn):
        link_attention(links, f"{name}.attn.{i}", attention)
    if level.resample is not None:
        links.convolution(f"{name}.{resample}.conv", level.resample.conv)


def _ends(links, name, half):
    link_residual_block(links, f"{name}.mid.0", half.mid.block_1)
    link_attention(links, f"{name}.mid.1", half.mid.attn_1)
    link_residual_block(links, f"{name}.mid.2", half.mid.block_2)
    links.norm(f"{name}.norm_out", half.norm_out)
    links.convolution(f"{name}.conv_out", half.conv_out)
