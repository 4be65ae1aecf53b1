"""Weights of one transformer block of the programs of the minGPT family."""

import numpy as np


def link_block(links, name, block, attention_bias, feed_forward_bias):
    """Links a block of minDALL-E's or RQ-Transformer's program.

    A layer of those programs without a bias is one with a bias of zeros here.

    Args:
        links: `keras_bidalle.converters.weights.WeightLinks`.
        name: str, of the block in the checkpoint, such as `"blocks.0"`.
        block: built `keras_bidalle.transformer.TransformerBlock`.
        attention_bias: bool, whether the attention's output has a bias.
        feed_forward_bias: bool, whether the feed-forward's layers have one.
    """
    links.norm(f"{name}.ln1", block.attention_norm)
    links.norm(f"{name}.ln2", block.feed_forward_norm)
    parts = [f"{name}.attn.{part}" for part in ("query", "key", "value")]
    weights = [f"{part}.weight" for part in parts]
    links.joined(weights, block.to_qkv.kernel, np.transpose)
    if block.qkv_bias:
        links.joined([f"{part}.bias" for part in parts], block.to_qkv.bias)
    links.linear(f"{name}.attn.proj", block.to_out, attention_bias)
    links.linear(f"{name}.mlp.0", block.expand, feed_forward_bias)
    links.linear(f"{name}.mlp.2", block.contract, feed_forward_bias)
