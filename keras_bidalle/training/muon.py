"""Muon with its matrix iteration in bfloat16, as it was published."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="keras_bidalle")
class Muon(keras.optimizers.Muon):
    """`keras.optimizers.Muon`, fast where bfloat16 products are.

    Matrices inside the network move along the orthogonalised momentum;
    embeddings, heads, vectors and scalars are trained by AdamW. The
    orthogonalisation needs no more than bfloat16; in float32, as Keras does
    it, it costs a good part of a small model's step.

    Args:
        learning_rate: float or schedule, of both; AdamW's is multiplied by
            `adam_lr_ratio`.
        exclude_layers: list of str, regular expressions of variable paths
            that AdamW trains too; by default those of a generator's input
            and output tables, beside the embeddings that are always out.
        **kwargs: as of `keras.optimizers.Muon`.

    Reference:
        Jordan et al., "Muon: An optimizer for hidden layers in neural
        networks", 2024; Liu et al., arXiv 2502.16982 (update scale).
    """

    def __init__(self, learning_rate=1e-3, exclude_layers=None, **kwargs):
        super().__init__(
            learning_rate=learning_rate,
            exclude_layers=(
                ["head", "conv_in", "conv_out"]
                if exclude_layers is None
                else exclude_layers
            ),
            **kwargs,
        )

    def zeropower_via_newtonschulz5(self, x, steps):
        low = ops.cast(x, "bfloat16")
        return ops.cast(
            super().zeropower_via_newtonschulz5(low, steps), x.dtype
        )
