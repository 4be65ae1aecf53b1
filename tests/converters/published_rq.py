"""Which keys the published RQ programs save, for any configuration.

A statement of its own, beside the converters', as `published` is.
"""

import numpy as np
import published


def transformer_config(**changed):
    return {
        "type": "rq-transformer",
        "block_size": [2, 3, 2],
        "embed_dim": 8,
        "input_embed_dim": 4,
        "vocab_size": 6,
        "vocab_size_cond": 5,
        "block_size_cond": 3,
        "body": {"n_layer": 2, "block": {"n_head": 2}},
        "head": {"n_layer": 1, "block": {"n_head": 4}},
        **changed,
    }


def transformer_shapes(config):
    """The shapes of all that the program would save but for offsets."""
    rows, columns, depth = config["block_size"]
    d, c = config["embed_dim"], config["input_embed_dim"]
    sizes = config["vocab_size"]
    sizes = [sizes] * depth if isinstance(sizes, int) else sizes
    words = max(config["vocab_size_cond"], 1)
    length = max(config["block_size_cond"], 1)
    found = {}

    def add(name, *shape):
        found[name] = shape

    def linear(name, inputs, outputs, bias=True):
        add(f"{name}.weight", outputs, inputs)
        if bias:
            add(f"{name}.bias", outputs)

    def norm(name):
        add(f"{name}.weight", d)
        add(f"{name}.bias", d)

    add("pos_emb_cond", 1, length, d)
    add("pos_emb_hw", 1, rows * columns, d)
    add("pos_emb_d", 1, depth, d)
    add("cond_emb.weight", words, d)
    in_body = config.get("input_emb_vqvae")
    in_head = config.get("head_emb_vqvae")
    if in_body:
        linear("input_mlp", c, d)
    if in_head:
        linear("head_mlp", c, d)
    if not (in_body and in_head):
        shared = config.get("shared_tok_emb")
        add("tok_emb.weight", sizes[0] if shared else sum(sizes), d)
    for part in ("body", "head"):
        options = config[part]["block"]
        attention = options.get("attn_bias", True)
        feed_forward = options.get("mlp_bias", True)
        for i in range(config[part]["n_layer"]):
            name = f"{part}_transformer.blocks.{i}"
            norm(f"{name}.ln1")
            norm(f"{name}.ln2")
            for layer in ("key", "query", "value", "proj"):
                linear(f"{name}.attn.{layer}", d, d, attention)
            linear(f"{name}.mlp.0", d, 4 * d, feed_forward)
            linear(f"{name}.mlp.2", 4 * d, d, feed_forward)
    norm("classifier.layer_norm")
    if config.get("shared_cls_emb"):
        linear("classifier.linear", d, sizes[0])
    else:
        add("classifier.linear.weight", depth, d, max(sizes))
        add("classifier.linear.bias", depth, max(sizes))
    if length > 1:
        norm("cond_classifier.layer_norm")
        linear("cond_classifier.linear", d, words)
    return found


def transformer_arrays(config):
    """Random arrays under every key that the program would save."""
    rng = np.random.default_rng(0)
    found = {
        name: 0.5 * rng.normal(size=shape).astype("float32")
        for name, shape in transformer_shapes(config).items()
    }
    if "tok_emb.weight" in found and not config.get("shared_tok_emb"):
        depth, sizes = config["block_size"][2], config["vocab_size"]
        sizes = [sizes] * depth if isinstance(sizes, int) else sizes
        found["tok_emb.offsets"] = np.cumsum([0, *sizes[:-1]])
    return found


def vae_shapes(config):
    """The shapes of all that RQ-VAE's program would save."""
    hparams = config["hparams"]
    (rows, _, channels), (code_rows, _, depth) = (
        hparams["latent_shape"],
        hparams["code_shape"],
    )
    vqgan = {**hparams, "n_embed": 1, "ddconfig": config["ddconfig"]}
    found = published.shapes(vqgan)
    del found["quantize.embedding.weight"]
    dim, sizes = (rows // code_rows) ** 2 * channels, hparams["n_embed"]
    sizes = sizes if isinstance(sizes, list) else [sizes] * depth
    for place, size in enumerate(sizes):
        name = f"quantizer.codebooks.{place}"
        found[f"{name}.weight"] = (size + 1, dim)
        found[f"{name}.cluster_size_ema"] = (size,)
        found[f"{name}.embed_ema"] = (size, dim)
    return found


def vae_arrays(config):
    """Random arrays under every key that RQ-VAE's program would save."""
    rng = np.random.default_rng(1)
    return {
        name: (
            rng.normal(size=shape) / np.sqrt(max(1, np.prod(shape[1:])))
        ).astype("float32")
        for name, shape in vae_shapes(config).items()
    }
