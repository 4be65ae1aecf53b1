"""Weights of one transformer block of the programs of the minGPT family."""

import numpy as np


def read_block(reader, name, block, attention_bias, feed_forward_bias):
    """Reads a block of minDALL-E's or RQ-Transformer's program.

    A layer of those programs without a bias is one with a bias of zeros here.

    Args:
        reader: `keras_bidalle.converters.weights.StateDictReader`.
        name: str, of the block in the checkpoint, such as `"blocks.0"`.
        block: built `keras_bidalle.generators.TransformerBlock`.
        attention_bias: bool, whether the attention's output has a bias.
        feed_forward_bias: bool, whether the feed-forward's layers have one.

    Raises:
        ValueError: if weights are missing or of another shape.
    """
    reader.norm(f"{name}.ln1", block.attention_norm)
    reader.norm(f"{name}.ln2", block.feed_forward_norm)
    d, parts = block.width, ("query", "key", "value")
    weights = [
        reader.array(f"{name}.attn.{part}.weight", (d, d)).T for part in parts
    ]
    block.to_qkv.kernel.assign(np.concatenate(weights, axis=1))
    if block.qkv_bias:
        biases = [
            reader.array(f"{name}.attn.{part}.bias", (d,)) for part in parts
        ]
        block.to_qkv.bias.assign(np.concatenate(biases))
    reader.linear(f"{name}.attn.proj", block.to_out, attention_bias)
    reader.linear(f"{name}.mlp.0", block.expand, feed_forward_bias)
    reader.linear(f"{name}.mlp.2", block.contract, feed_forward_bias)
