"""Muon with its matrix iteration in bfloat16, and few of them."""

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="keras_bidalle")
class Muon(keras.optimizers.Muon):
    """`keras.optimizers.Muon`, made cheap for small models.

    Matrices inside the network move along the orthogonalised momentum;
    embeddings, heads, vectors and scalars are trained by AdamW. The
    orthogonalisation runs in bfloat16, which it was published for, and once
    for all matrices of a shape, stacked.

    Args:
        learning_rate: float or schedule, of both; AdamW's is multiplied by
            `adam_lr_ratio`.
        exclude_layers: list of str, regular expressions of variable paths
            that AdamW trains too, beside embeddings; by default the heads,
            the first and last convolutions and `TokenConvolution`.
        **kwargs: as in `keras.optimizers.Muon`.

    Reference:
        Jordan et al., "Muon: An optimizer for hidden layers in neural
        networks", 2024; Liu et al., arXiv 2502.16982 (update scale).
    """

    def __init__(
        self,
        learning_rate: Any = 1e-3,
        exclude_layers: list[str] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            learning_rate=learning_rate,
            exclude_layers=(
                ["head", "conv_in", "conv_out", "token_convolution"]
                if exclude_layers is None
                else exclude_layers
            ),
            **kwargs,
        )

    def _backend_update_step(self, grads, trainable_variables, learning_rate):
        matrices, rest = {}, []
        for pair in zip(grads, trainable_variables, strict=True):
            if self._should_use_adamw(pair[1]):
                rest.append(pair)
            else:
                matrices.setdefault(tuple(pair[1].shape), []).append(pair)
        for members in matrices.values():
            gradients = ops.stack([gradient for gradient, _ in members])
            momenta = [
                self.momentums[self._get_variable_index(variable)]
                for _, variable in members
            ]
            new = ops.stack([m.value for m in momenta]) * self.momentum
            new = new + gradients
            direction = (
                gradients + self.momentum * new if self.nesterov else new
            )
            updates = self.zeropower_via_newtonschulz5(direction, self.ns_steps)
            for row, (_, variable) in enumerate(members):
                self.assign(momenta[row], new[row])
                self.assign_sub(
                    variable, self.lr_adjust(learning_rate * updates[row])
                )
        if rest:
            gradients, variables = map(list, zip(*rest, strict=True))
            super()._backend_update_step(gradients, variables, learning_rate)

    def lr_adjust(self, x: Any) -> Any:
        # Keras takes the tensor root of two Python integers here.
        if self.rms_rate is None:
            return x
        return x * (max(x.shape) ** 0.5 * self.rms_rate)

    def zeropower_via_newtonschulz5(self, x: Any, steps: int) -> Any:
        low = ops.cast(x, "bfloat16")
        return ops.cast(
            super().zeropower_via_newtonschulz5(low, steps), x.dtype
        )
