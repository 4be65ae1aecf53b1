"""Optimizers that see the gradients of the global batch; what is in them.

Private names of Keras' optimizers, read in version 3.15, are known here and
in `training.muon`; `tests/backend/test_optimizers.py` fails where one has
changed. Keras sums gradients over the replicas of `tf.distribute` after it
has clipped, accumulated and unscaled each replica's own, and Horovod's stock
wrapper does not sum them at all. Here the sum comes first, in `apply`.
"""

import functools
from typing import Any

import keras
from keras import ops

from keras_bidalle.backend import replicas
from keras_bidalle.backend.current import is_tensorflow


def synchronized(optimizer: Any) -> Any:
    """Makes an optimizer sum gradients over replicas before all else.

    Clipping, accumulation, loss scaling (an overflow on one replica skips
    the step on all of them) and the update then see what they would on one
    process. Models of this library do it in `compile`; for another model
    under `tf.distribute` or Horovod:

    ```python
    model.compile("adam", loss="mse")
    model.optimizer = synchronized(model.optimizer)
    ```

    Where one replica trains, and on JAX, where the compiler sums, there is
    nothing to do and nothing is done.

    Args:
        optimizer: `keras.optimizers.Optimizer`, the outermost one: a
            `LossScaleOptimizer` and not what it wraps. It is changed in
            place, keeps its class and is saved as before.

    Returns:
        `optimizer`.
    """
    if optimizer is None or replicas.planned() == 1:
        return optimizer
    if hasattr(optimizer, "_apply_to_sum"):
        return optimizer
    for part in inner_optimizers(optimizer):
        # Synchronised before it was wrapped: it would sum once more.
        if hasattr(part, "_apply_to_sum"):
            del part.apply, part._apply_to_sum
    optimizer._apply_to_sum = optimizer.apply
    optimizer.apply = functools.partial(_apply, optimizer)
    for part in [optimizer, *inner_optimizers(optimizer)]:
        # What `apply` gets is a sum already.
        part._all_reduce_sum_gradients = lambda pairs: list(pairs)
        if part.gradient_accumulation_steps:
            part._backend_apply_gradients = functools.partial(_accumulate, part)
    return optimizer


def compile_arguments(arguments: dict[str, Any]) -> dict[str, Any]:
    """Arguments of `keras.Model.compile` that replicas can train with.

    Without XLA where Horovod has to run inside the step, which XLA knows
    nothing of, unless it was asked for by name.
    """
    if (
        replicas.planned() > 1
        and arguments.get("jit_compile", "auto") == "auto"
        and is_tensorflow()
    ):
        return {**arguments, "jit_compile": False}
    return arguments


def _apply(optimizer, grads, trainable_variables=None):
    gradients = replicas.reduce_gradients(list(grads))
    return optimizer._apply_to_sum(gradients, trainable_variables)


def inner_optimizers(
    optimizer: keras.optimizers.Optimizer,
) -> list[keras.optimizers.Optimizer]:
    """The optimizers that an optimizer is made of, without itself."""
    if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        parts = [optimizer.inner_optimizer]
    elif isinstance(optimizer, keras.optimizers.MultiOptimizer):
        parts = optimizer.optimizers
    else:
        parts = []
    return [each for part in parts for each in (part, *inner_optimizers(part))]


def constant_rates(
    optimizer: keras.optimizers.Optimizer,
) -> list[keras.Variable]:
    """The variables of learning rates that no schedule gives."""
    rates = (
        getattr(part, "_learning_rate", None)
        for part in [optimizer, *inner_optimizers(optimizer)]
    )
    return [rate for rate in rates if isinstance(rate, keras.Variable)]


def scales_loss(optimizer: keras.optimizers.Optimizer) -> bool:
    """Whether it passes over a step whose gradients are not finite."""
    parts = [optimizer, *inner_optimizers(optimizer)]
    scaling = keras.optimizers.LossScaleOptimizer
    return any(isinstance(part, scaling) for part in parts)


def keeps_averages(optimizer: keras.optimizers.Optimizer) -> bool:
    """Whether it, or one that it is made of, has `use_ema=True`."""
    parts = [optimizer, *inner_optimizers(optimizer)]
    return any(getattr(part, "use_ema", False) for part in parts)


def averages(
    optimizer: keras.optimizers.Optimizer,
) -> list[tuple[keras.Variable, keras.Variable]]:
    """Tuples of a weight and its moving average, of a built optimizer."""
    return [
        pair
        for part in [optimizer, *inner_optimizers(optimizer)]
        if getattr(part, "use_ema", False)
        for pair in zip(
            part._trainable_variables,
            part._model_variables_moving_average,
            strict=True,
        )
    ]


def _accumulate(optimizer, grads, trainable_variables):
    """`_backend_apply_gradients` with its condition outside of the replicas.

    Under `tf.distribute` a replica may not update weights inside a
    condition, but a condition may have all replicas update theirs.
    """
    import tensorflow as tf

    if not tf.distribute.has_strategy():
        return type(optimizer)._backend_apply_gradients(
            optimizer, grads, trainable_variables
        )
    steps = optimizer.gradient_accumulation_steps
    indices = [optimizer._get_variable_index(v) for v in trainable_variables]
    sums = [optimizer._accumulated_gradients[index] for index in indices]

    def update(grads):
        # As Keras does it, piece by piece.
        means = [
            (gradient + so_far) / steps
            for gradient, so_far in zip(grads, sums, strict=True)
        ]
        means = optimizer._clip_gradients(means)
        optimizer._apply_weight_decay(trainable_variables)
        optimizer._backend_update_step(
            means, trainable_variables, optimizer.learning_rate
        )
        optimizer._backend_reset_gradient_accumulators()

    def add(grads):
        for gradient, so_far in zip(grads, sums, strict=True):
            so_far.assign(so_far + gradient)

    def either(strategy, grads):
        def on_each(function):
            strategy.extended.call_for_each_replica(function, args=(grads,))

        is_last = ops.equal((optimizer._iterations + 1) % steps, 0)
        ops.cond(is_last, lambda: on_each(update), lambda: on_each(add))

    tf.distribute.get_replica_context().merge_call(either, args=(grads,))
    if optimizer.use_ema:
        optimizer._update_model_variables_moving_average(
            optimizer._trainable_variables
        )
