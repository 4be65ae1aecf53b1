"""How a generator's weights are cut for model parallelism."""


def generator_layouts(axis: str = "model") -> dict[str, tuple]:
    """Layouts of the weights of attention and feed-forward.

    As Megatron-LM cuts a block: the first matrix of attention and of the
    feed-forward by columns, the second by rows. These are most of a large
    generator; embeddings, classifiers and norms are whole on every device.

    Args:
        axis: str, the axis of the mesh of devices.

    Returns:
        dict from regular expressions of variable paths to tuples.

    Reference:
        [Megatron-LM](https://arxiv.org/abs/1909.08053), section 3.
    """
    return {
        ".*/(to_qkv|expand)/kernel": (None, axis),
        ".*/(to_qkv|expand)/bias": (axis,),
        ".*/(to_out|contract)/kernel": (axis, None),
    }
