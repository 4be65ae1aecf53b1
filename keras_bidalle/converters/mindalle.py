"""Converts stage 2 of minDALL-E (Kakao Brain)."""

import math
from typing import Any

from keras_bidalle.configurations.generators import LIKE_MINGPT
from keras_bidalle.converters.configs import required
from keras_bidalle.converters.gpt_block import link_block
from keras_bidalle.converters.weights import converted
from keras_bidalle.generators import BidirectionalTransformer
from keras_bidalle.messages import shown
from keras_bidalle.validation import check_positive

# What the published program takes where a configuration is silent.
_TOKENIZER = {
    "embed_dim": 256,
    "n_embed": 16384,
    "hparams": {
        "z_channels": 256,
        "resolution": 256,
        "in_channels": 3,
        "out_ch": 3,
        "ch": 128,
        "ch_mult": [1, 1, 2, 2, 4],
        "num_res_blocks": 2,
        "attn_resolutions": [16],
    },
}
_GENERATOR = {
    "embed_dim": 1536,
    "n_layers": 42,
    "n_heads": 24,
    "ctx_len_img": 256,
    "ctx_len_txt": 64,
}


def is_mindalle(config):
    """Whether a configuration is of minDALL-E's stage 2."""
    section = _section(config)
    return section.get("type") == "transformer1d" or (
        "ctx_len_txt" in section and "ctx_len_img" in section
    )


def convert_mindalle(state_dict: dict[str, Any], config: dict[str, Any]) -> Any:
    """Builds the generator of a minDALL-E checkpoint.

    It was trained on [caption][image] rows alone. Its codes are a square
    where their number is one, and otherwise one row: the program itself
    knows no grid. Dropout of embeddings and of attention, which only training
    would need and no published model has, is left out.

    Args:
        state_dict: dict from parameter name to array, as `read_state_dict`
            reads it.
        config: dict, the program's YAML configuration, its `stage2` section
            or that one's `hparams`, with `embed_dim`, `n_layers`, `n_heads`,
            `ctx_len_img`, `ctx_len_txt`, and where given `vocab_size_txt`,
            `vocab_size_img`, `mlp_bias`, `attn_bias`, `gelu_use_approx`,
            `resid_pdrop`.

    Returns:
        `keras_bidalle.generators.BidirectionalTransformer`.

    Raises:
        ValueError: as `convert_te_vqgan`.

    Reference:
        https://github.com/kakaobrain/mindall-e
    """
    config = {**_GENERATOR, **_section(config)}
    biases = _has_bias(config, "attn_bias"), _has_bias(config, "mlp_bias")
    return converted(
        *(state_dict, config, "minDALL-E", ("tok_emb_txt.weight",)),
        build=lambda reader: BidirectionalTransformer(
            **_arguments(reader, config)
        ),
        link=lambda links, model: link_mindalle(links, model, biases),
    )


def link_mindalle(links, generator, biases=(True, True)):
    """Links a `BidirectionalTransformer` with that program's weights.

    Args:
        links: `WeightLinks`.
        generator: the model.
        biases: two bool, whether attention and feed-forward have any.
    """
    captions, head = generator.captions, generator.head
    embedding = generator.embedding
    links.into("tok_emb_txt.weight", captions.embedding)
    links.into("tok_emb_img.weight", head.embedding)
    links.into("pos_emb_txt.weight", embedding.text_positions)
    links.into("pos_emb_img.weight", embedding.position_layer.embedding)
    for i, block in enumerate(generator.transformer.blocks):
        link_block(links, f"blocks.{i}", block, *biases)
    links.norm("ln_f", generator.transformer.norm)
    links.transposed("head_txt.weight", captions.head)
    links.transposed("head_img.weight", head.kernel)


def _section(config):
    """The options of stage 2, flat."""
    stage = config.get("stage2")
    stage = stage if isinstance(stage, dict) else config
    options = stage.get("hparams")
    return {**stage, **options} if isinstance(options, dict) else stage


def tokenizer_config(config):
    """The `stage1` of a configuration, as `convert_vqgan` takes it."""
    stage = {**_TOKENIZER, **config["stage1"]}
    encoder = {**_TOKENIZER["hparams"], **(stage["hparams"] or {})}
    encoder["dropout"] = encoder.pop("pdrop", 0.0)
    sizes = {name: stage[name] for name in ("n_embed", "embed_dim")}
    return {**sizes, "ddconfig": encoder}


def _arguments(reader, config):
    depth = required(config, "n_layers")
    if config.get("n_dense_layers", depth) != depth:
        raise ValueError(
            "`n_dense_layers` must be `n_layers`: sparse layers are not "
            f"known. Received: n_layers={depth}, "
            f"n_dense_layers={shown(config['n_dense_layers'])}"
        )
    places = required(config, "ctx_len_img")
    check_positive(ctx_len_img=places)
    side = math.isqrt(places)
    return {
        **LIKE_MINGPT,
        "text_vocabulary_size": config.get("vocab_size_txt")
        or reader.shape("tok_emb_txt.weight", 2)[0],
        "text_length": required(config, "ctx_len_txt"),
        "num_codes": config.get("vocab_size_img")
        or reader.shape("tok_emb_img.weight", 2)[0],
        "code_shape": (side, side) if side**2 == places else (1, places),
        "width": required(config, "embed_dim"),
        "depth": depth,
        "num_heads": required(config, "n_heads"),
        "qkv_bias": bool(config.get("attn_bias", True)),
        "use_bias": _has_bias(config, "attn_bias", "mlp_bias"),
        "head_bias": False,
        "activation": "quick_gelu"
        if config.get("gelu_use_approx", False)
        else "gelu",
        "dropout": config.get("resid_pdrop", 0.0),
    }


def _has_bias(config, *names):
    return any(config.get(name, True) for name in names)
