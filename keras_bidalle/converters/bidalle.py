"""Converts stage 2 of Bi-directional DALL-E."""

import math
from typing import Any

import numpy as np

from keras_bidalle.converters.configs import one_of, required
from keras_bidalle.converters.weights import converted
from keras_bidalle.generators import BidirectionalTransformer
from keras_bidalle.validation import refused

# What the published program takes where a configuration is silent.
_DEFAULTS = {"heads": 8, "dim_head": 64, "loss_weight": 7}
# What it has no option for.
_KERNEL_SIZE = 5
_LAYER_SCALE = 0.1

_ATTENTION = {
    "full": "full",
    "axial_row": "axial_row",
    "axial_col": "axial_column",
    "conv_like": "conv_like",
}
_POSITIONS = {"fixed": "fixed", "learnable": "learned"}


def is_bidalle(config):
    """Whether a configuration is of Bi-directional DALL-E's stage 2."""
    return "text_seq_len" in config and "num_text_tokens" in config


def convert_bidalle(state_dict: dict[str, Any], config: dict[str, Any]) -> Any:
    """Builds the generator of a Bi-directional DALL-E checkpoint.

    The weights of its image tokenizer, which some checkpoints hold too, are
    left out; so is dropout, which only training would need.

    Args:
        state_dict: dict from parameter name to array, as `read_state_dict`
            reads it.
        config: dict, the program's hyperparameters: `dim`, `depth`,
            `num_text_tokens`, `text_seq_len`, and where given `heads`,
            `dim_head`, `attn_types`, `pe_type`, `loss_weight`,
            `special_tok_idx`, `num_image_tokens`, `image_fmap_size`.

    Returns:
        `keras_bidalle.generators.BidirectionalTransformer`.

    Raises:
        ValueError: when the configuration asks for something unknown, or a
            key of the checkpoint is missing, left over or of another shape.

    Reference:
        Bi-directional DALL-E, arXiv 2112.00384, the released program.
    """
    return converted(
        *(state_dict, config, "Bi-directional DALL-E", ("text_emb.weight",)),
        build=lambda reader: BidirectionalTransformer(
            **_arguments(reader, config)
        ),
        link=link_bidalle,
    )


def link_bidalle(links, generator):
    """Links a `BidirectionalTransformer` with that program's weights."""
    links.ignore("vae.")
    _embeddings(links, generator)
    for i, block in enumerate(generator.transformer.blocks):
        _block(links, f"transformer.layers.layers.{i}", block)
    links.norm("to_logits.0", generator.transformer.norm)
    _heads(links, generator)


def _arguments(reader, config):
    options = {**_DEFAULTS, **config}
    special = config.get("special_tok_idx") or {}
    if not isinstance(special, dict):
        raise refused(
            "hold the ids of [PAD], [CLS] and [SEP]", special_tok_idx=special
        )
    positions = one_of(_POSITIONS, "pe_type", config.get("pe_type", "fixed"))
    return {
        "text_vocabulary_size": required(config, "num_text_tokens"),
        "text_length": required(config, "text_seq_len"),
        "num_codes": config.get("num_image_tokens")
        or reader.shape("image_emb.weight", 2)[0],
        "code_shape": _code_shape(reader, config, positions),
        "width": required(config, "dim"),
        "depth": required(config, "depth"),
        "num_heads": options["heads"],
        "head_dim": options["dim_head"],
        "attention": _attention(config.get("attn_types")),
        "kernel_size": _KERNEL_SIZE,
        "image_positions": positions,
        # The direction shows in the order of the row alone.
        "segment_embeddings": False,
        # A pad does not see itself; and the program's sparse layers know no
        # padding where the caption comes last.
        "pads_see_themselves": False,
        "sparse_captioning_sees_pads": True,
        "predict_start": True,
        "activation": "geglu",
        "layer_scale": _LAYER_SCALE,
        "target_weight": options["loss_weight"],
        "pad_id": special.get("[PAD]", 0),
        "start_id": special.get("[CLS]", 1),
        "end_id": special.get("[SEP]", 2),
    }


def _attention(kinds):
    # The command line of the program takes them in one string.
    kinds = kinds.split(",") if isinstance(kinds, str) else kinds
    return tuple(
        one_of(_ATTENTION, "attn_types", kind) for kind in kinds or ("full",)
    )


def _code_shape(reader, config, positions):
    side = config.get("image_fmap_size")
    if side is None and positions == "learned":
        side = reader.shape("image_pos_emb.weights_0", 4)[1]
    elif side is None:
        side = math.isqrt(reader.shape("image_pos_emb.emb", 2)[0])
    return side, side


def _embeddings(links, generator):
    links.into("text_emb.weight", generator.captions.embedding)
    links.into("image_emb.weight", generator.head.embedding)
    links.into("text_pos_emb.weight", generator.embedding.text_positions)
    layer = generator.embedding.position_layer
    if generator.embedding.image_positions == "fixed":
        # The program computed it in float32, from angles of up to its side.
        links.constant("image_pos_emb.emb", layer.vectors(), atol=1e-4)
        links.ignore("image_pos_emb.inv_freq")
        return
    d = generator.embedding.width
    for i, variable in enumerate((layer.row_embedding, layer.column_embedding)):
        shape = [1, 1, 1, d]
        shape[1 + i] = variable.shape[0]
        links.into(f"image_pos_emb.weights_{i}", variable, tuple(shape))


def _block(links, name, block):
    attention, feed_forward = f"{name}.0", f"{name}.1"
    for part, scale in (
        (attention, block.attention_scale),
        (feed_forward, block.feed_forward_scale),
    ):
        links.into(f"{part}.scale", scale, (1, 1, block.width))
    links.norm(f"{attention}.fn.norm", block.attention_norm)
    links.linear(f"{attention}.fn.fn.to_qkv", block.to_qkv)
    links.linear(f"{attention}.fn.fn.to_out.0", block.to_out)
    links.norm(f"{feed_forward}.fn.norm", block.feed_forward_norm)
    links.linear(f"{feed_forward}.fn.fn.net.0", block.expand)
    links.linear(f"{feed_forward}.fn.fn.net.3", block.contract)


def _heads(links, generator):
    """One head over the joint vocabulary becomes one for each modality."""
    captions, head = generator.captions, generator.head
    kernels = [captions.head, head.kernel]
    links.split("to_logits.1.weight", kernels, np.transpose)
    links.split("to_logits.1.bias", [captions.bias, head.bias])
