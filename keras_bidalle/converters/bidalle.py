"""Converts stage 2 of Bi-directional DALL-E."""

import math
from typing import Any

from keras_bidalle.converters.configs import required
from keras_bidalle.converters.weights import StateDictReader
from keras_bidalle.generators import BidirectionalTransformer

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
    reader = StateDictReader(state_dict, "Bi-directional DALL-E")
    reader.ignore("vae.")
    generator = BidirectionalTransformer(**_arguments(reader, config))
    _embeddings(reader, generator)
    for i, block in enumerate(generator.transformer.blocks):
        _block(reader, f"transformer.layers.layers.{i}", block)
    reader.norm("to_logits.0", generator.transformer.norm)
    _heads(reader, generator)
    reader.finish()
    return generator


def _arguments(reader, config):
    options = {**_DEFAULTS, **config}
    special = config.get("special_tok_idx") or {}
    if not isinstance(special, dict):
        raise ValueError(
            "`special_tok_idx` must hold the ids of [PAD], [CLS] and [SEP]. "
            f"Received: special_tok_idx={special!r}"
        )
    positions = _known(_POSITIONS, "pe_type", config.get("pe_type", "fixed"))
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
        _known(_ATTENTION, "attn_types", kind) for kind in kinds or ("full",)
    )


def _code_shape(reader, config, positions):
    side = config.get("image_fmap_size")
    if side is None and positions == "learned":
        side = reader.shape("image_pos_emb.weights_0", 4)[1]
    elif side is None:
        side = math.isqrt(reader.shape("image_pos_emb.emb", 2)[0])
    return side, side


def _embeddings(reader, generator):
    reader.into("text_emb.weight", generator.captions.embedding)
    reader.into("image_emb.weight", generator.head.embedding)
    reader.into("text_pos_emb.weight", generator.embedding.text_positions)
    layer = generator.embedding.position_layer
    if generator.embedding.image_positions == "fixed":
        # The program computed it in float32, from angles of up to its side.
        reader.constant("image_pos_emb.emb", layer.vectors(), atol=1e-4)
        reader.ignore("image_pos_emb.inv_freq")
        return
    d = generator.embedding.width
    for i, variable in enumerate((layer.row_embedding, layer.column_embedding)):
        shape = [1, 1, 1, d]
        shape[1 + i] = variable.shape[0]
        reader.into(
            f"image_pos_emb.weights_{i}",
            variable,
            from_shape=tuple(shape),
            transform=lambda array: array.reshape(-1, array.shape[-1]),
        )


def _block(reader, name, block):
    attention, feed_forward = f"{name}.0", f"{name}.1"
    for part, scale in (
        (attention, block.attention_scale),
        (feed_forward, block.feed_forward_scale),
    ):
        reader.into(
            f"{part}.scale",
            scale,
            from_shape=(1, 1, block.width),
            transform=lambda array: array[0, 0],
        )
    reader.norm(f"{attention}.fn.norm", block.attention_norm)
    reader.linear(f"{attention}.fn.fn.to_qkv", block.to_qkv)
    reader.linear(f"{attention}.fn.fn.to_out.0", block.to_out)
    reader.norm(f"{feed_forward}.fn.norm", block.feed_forward_norm)
    reader.linear(f"{feed_forward}.fn.fn.net.0", block.expand)
    reader.linear(f"{feed_forward}.fn.fn.net.3", block.contract)


def _heads(reader, generator):
    """One head over the joint vocabulary becomes one for each modality."""
    captions, head = generator.captions, generator.head
    text, width = captions.text_classes, captions.width
    classes = text + head.num_codes
    weight = reader.array("to_logits.1.weight", (classes, width))
    bias = reader.array("to_logits.1.bias", (classes,))
    captions.head.assign(weight[:text].T)
    captions.bias.assign(bias[:text])
    head.kernel.assign(weight[text:].T)
    head.bias.assign(bias[text:])


def _known(known, name, value):
    if value not in known:
        raise ValueError(
            f"`{name}` must be one of {list(known)}. Received: {value!r}"
        )
    return known[value]
