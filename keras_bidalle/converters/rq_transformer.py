"""Converts RQ-Transformer checkpoints (Kakao Brain)."""

import os
import pathlib
from typing import Any

import numpy as np

from keras_bidalle.configurations.generators import LIKE_MINGPT
from keras_bidalle.converters.configs import (
    arch_section,
    one_of,
    required,
)
from keras_bidalle.converters.containers import read_content
from keras_bidalle.converters.gpt_block import link_block
from keras_bidalle.converters.published import checkpoint_files, unpacked
from keras_bidalle.converters.state_dict import unwrapped, weights_in
from keras_bidalle.converters.weights import converted
from keras_bidalle.generators import RQTransformer
from keras_bidalle.generators.heads.codebook_sizes import NO_CODE
from keras_bidalle.generators.stochastic_codes import codebooks_of, stacked
from keras_bidalle.messages import shown
from keras_bidalle.presets import load
from keras_bidalle.validation import refused

# What the published program takes where a configuration is silent.
_DEFAULT_DROPOUT = 0.1
_GELUS = {"v1": "gelu", "v2": "quick_gelu"}


def is_rq_transformer(config):
    """Whether a configuration is of an RQ-Transformer."""
    return arch_section(config).get("type") == "rq-transformer"


def convert_rq_transformer(
    state_dict: dict[str, Any], config: dict[str, Any], tokenizer: Any = None
) -> Any:
    """Builds the generator of an RQ-Transformer checkpoint.

    Where the program embeds codes by its tokenizer's codebooks
    (`input_emb_vqvae`, `head_emb_vqvae`), the checkpoint does not hold them
    and `tokenizer` is needed. The generator keeps a copy. Elsewhere it may
    be given, for training on latents.

    Args:
        state_dict: dict from parameter name to array, as `read_state_dict`
            reads it.
        config: dict, the program's YAML configuration or its `arch`
            section.
        tokenizer: an `ImageTokenizer` with a `ResidualQuantizer`; such a
            quantizer; a float array of codebooks (K, C) or (D, K, C); or a
            str or `pathlib.Path`: what `keras_bidalle.load` takes, or the
            published checkpoint of an RQ-VAE, a file or a folder with one.

    Returns:
        `keras_bidalle.generators.RQTransformer`. The condition, a caption
        or a class, is its `text`. A model without a condition has one
        class.

    Raises:
        ValueError: when the configuration asks for something unknown, a key
            of the checkpoint is missing, left over or of another shape, or
            `tokenizer` is missing or does not fit.

    Reference:
        https://github.com/kakaobrain/rq-vae-transformer
    """
    config = _completed(config)
    sizes = _vocabulary_sizes(config)
    in_body = bool(config.get("input_emb_vqvae", False))
    in_head = bool(config.get("head_emb_vqvae", False))
    if tokenizer is None and (in_body or in_head):
        raise ValueError(
            "This RQ-Transformer embeds codes by its tokenizer's codebooks "
            "(`input_emb_vqvae`, `head_emb_vqvae`), which its checkpoint "
            "does not hold. Give its RQ-VAE as `tokenizer`: a preset, a "
            "checkpoint, a model or the codebooks."
        )
    arguments = _arguments(config, sizes, in_body, in_head)
    if tokenizer is not None:
        codebooks = _codebooks(tokenizer)
        arguments["code_dim"] = int(codebooks.shape[2])
        arguments["shared_codebook"] = bool((codebooks == codebooks[:1]).all())
    mlp_bias = config["body"]["block"].get("mlp_bias", True)
    generator = converted(
        *(state_dict, config, "RQ-Transformer", ("pos_emb_hw",)),
        build=lambda reader: RQTransformer(**arguments),
        link=lambda links, model: link_rq_transformer(
            links, model, sizes, mlp_bias
        ),
    )
    if tokenizer is not None:
        generator.use_codebooks(codebooks)
    return generator


def _completed(config):
    """The `arch` section, with what the program copies into it."""
    data = config.get("dataset")
    data = data if isinstance(data, dict) else {}
    known = {k: data[k] for k in ("vocab_size",) if k in data}
    return {**known, **arch_section(config)}


def _vocabulary_sizes(config):
    """The number of codes of each depth."""
    depth = _block_size(config)[2]
    sizes = required(config, "vocab_size")
    sizes = [sizes] * depth if isinstance(sizes, int) else list(sizes)
    if len(sizes) != depth or not all(isinstance(n, int) for n in sizes):
        raise ValueError(
            f"`vocab_size` must be an integer or {depth} of them, one for "
            f"each depth. Received: vocab_size={shown(config['vocab_size'])}"
        )
    return sizes


def _block_size(config):
    size = required(config, "block_size")
    if not isinstance(size, (list, tuple)) or len(size) != 3:
        raise refused("be [rows, columns, depth]", block_size=size)
    return tuple(size)


def _arguments(config, sizes, in_body, in_head):
    if config.get("scaled_head_emb_vqvae") or config.get("use_padding_emb"):
        raise ValueError(
            "`scaled_head_emb_vqvae` and `use_padding_emb` are not "
            "supported: no published model has them."
        )
    body, head = _stack(config, "body"), _stack(config, "head")
    for name in ("attn_bias", "mlp_bias", "gelu"):
        if body["block"].get(name) != head["block"].get(name):
            raise ValueError(
                f"`{name}` must be the same in `body` and `head`. Received: "
                f"{shown(body['block'].get(name))} and "
                f"{shown(head['block'].get(name))}"
            )
    block = body["block"]
    has_bias = block.get("attn_bias", True)
    return {
        # Without a condition the program has one token that starts a row.
        **LIKE_MINGPT,
        "text_vocabulary_size": max(config.get("vocab_size_cond") or 0, 1),
        "text_length": max(config.get("block_size_cond") or 0, 1),
        "num_codes": max(sizes),
        "code_shape": _block_size(config),
        "codebook_sizes": sizes if len(set(sizes)) > 1 else None,
        "width": required(config, "embed_dim"),
        "depth": required(body, "n_layer", "`body`"),
        "num_heads": required(block, "n_head", "`body.block`"),
        "head_depth": required(head, "n_layer", "`head`"),
        "head_num_heads": required(head["block"], "n_head", "`head.block`"),
        "body_embedding": "codebook" if in_body else "learned",
        "head_embedding": "codebook" if in_head else "learned",
        "shared_embedding": bool(config.get("shared_tok_emb", False)),
        "shared_classifier": bool(config.get("shared_cls_emb", False)),
        # The program sums up codebook vectors only, not learned ones.
        "cumulative_depth_context": in_head
        and bool(config.get("cumsum_depth_ctx", False)),
        "code_dim": None,
        "activation": one_of(_GELUS, "gelu", block.get("gelu", "v1")),
        "qkv_bias": has_bias,
        "use_bias": has_bias or block.get("mlp_bias", True),
        "dropout": block.get("resid_pdrop", _DEFAULT_DROPOUT),
        # 0.9 for codes and 0.1 for captions.
        "target_weight": 9.0,
    }


def _stack(config, name):
    stack = required(config, name)
    if not isinstance(stack, dict) or not isinstance(stack.get("block"), dict):
        raise refused("hold `n_layer` and `block`", **{name: stack})
    return stack


def _codebooks(tokenizer):
    """The tokenizer's codebooks: float32 array (n, K, C)."""
    if not isinstance(tokenizer, (str, os.PathLike)):
        return codebooks_of(tokenizer)
    path = pathlib.Path(tokenizer)
    if not os.path.exists(path) or os.path.isfile(path / "metadata.json"):
        return codebooks_of(load(tokenizer))
    key = "quantizer.codebooks.{}.weight"
    with unpacked(path) as place:
        files = checkpoint_files(place)
        if len(files) != 1:
            raise ValueError(
                "`tokenizer` must be a preset, or a folder with one "
                f"checkpoint. Received: {str(path)!r} with "
                f"{[file.name for file in files]}"
            )
        state = weights_in(read_content(files[0]), files[0])
        state = unwrapped(state, (key.format(0),))
        found = []
        while key.format(len(found)) in state:
            # The last row stands for no code.
            found.append(np.asarray(state[key.format(len(found))])[:-1])
    if not found:
        raise ValueError(
            f"`tokenizer`: {str(files[0])!r} is not the checkpoint of an "
            "RQ-VAE, it has no `quantizer.codebooks.0.weight`."
        )
    return stacked(found)


def link_rq_transformer(links, generator, sizes=None, mlp_bias=True):
    """Links an `RQTransformer` with that program's weights.

    Args:
        links: `WeightLinks`.
        generator: the model.
        sizes: list of int, the number of codes of each depth; by default
            the model's.
        mlp_bias: bool, whether the feed-forward has one.
    """
    head = generator.head
    if sizes is None:
        sizes = np.broadcast_to(head.codebook_limits, head.code_shape[-1:])
    captions, embedding = generator.captions, generator.embedding
    layout = generator.layout
    d, depth = head.width, head.codes_per_position
    links.into("cond_emb.weight", captions.embedding)
    for name, variable in (
        ("pos_emb_cond", embedding.text_positions),
        ("pos_emb_hw", embedding.position_layer.embedding),
        ("pos_emb_d", head.depth_embedding),
    ):
        links.into(name, variable, (1, *variable.shape))
    if "learned" in (head.body_embedding, head.head_embedding):
        _link_table(links, head, sizes)
    if head.body_embedding == "codebook":
        projection = head.body_projection
        links.transposed("input_mlp.weight", projection.kernel)
        # The program projects each code, and then sums: the bias comes once
        # a depth.
        links.link(
            [projection.bias],
            {"input_mlp.bias": (d,)},
            lambda bias: [bias * float(depth)],
            lambda bias: [bias / float(depth)],
        )
    if head.head_embedding == "codebook":
        links.linear("head_mlp", head.head_projection)
    for stack, blocks in (
        ("body_transformer", generator.transformer.blocks),
        ("head_transformer", head.head_blocks),
    ):
        for i, block in enumerate(blocks):
            name = f"{stack}.blocks.{i}"
            link_block(links, name, block, block.qkv_bias, mlp_bias)
    links.norm("classifier.layer_norm", head.image_head_norm)
    _link_classifier(links, head, sizes)
    if layout.text_length > 1:
        links.norm("cond_classifier.layer_norm", captions.text_norm)
        links.transposed("cond_classifier.linear.weight", captions.head)
        links.into("cond_classifier.linear.bias", captions.bias)
    links.ignore("classifier.logit_mask")


def _link_table(links, head, sizes):
    tables, k, d = head.embedding.shape
    if tables == 1 and head.shared_embedding:
        links.into("tok_emb.weight", head.embedding, (k, d))
        return
    ends = np.cumsum(sizes)
    if "tok_emb.offsets" in links:
        links.constant("tok_emb.offsets", ends - sizes)

    def read(whole):
        values = np.zeros((tables, k, d), "float32")
        for place, rows in enumerate(np.split(whole, ends[:-1])):
            values[place, : len(rows)] = rows
        return [values]

    def write(values):
        rows = [table[:n] for table, n in zip(values, sizes, strict=True)]
        return [np.concatenate(rows)]

    shapes = {"tok_emb.weight": (int(ends[-1]), d)}
    links.link([head.embedding], shapes, read, write)


def _link_classifier(links, head, sizes):
    kernel, bias = "classifier.linear.weight", "classifier.linear.bias"
    heads, d, k = head.kernel.shape
    if head.shared_classifier:
        links.into(kernel, head.kernel, (k, d), (1, 0))
        links.into(bias, head.bias, (k,))
        return

    def read(kernel, bias):
        kernel, bias = np.array(kernel), np.array(bias)
        for place, size in enumerate(sizes):
            kernel[place, :, size:] = 0.0
            bias[place, size:] = NO_CODE
        return [kernel, bias]

    links.link(
        [head.kernel, head.bias],
        {kernel: (heads, d, k), bias: (heads, k)},
        read,
        lambda *values: values,
    )
