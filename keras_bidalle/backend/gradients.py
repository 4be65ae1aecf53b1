"""The one place that asks a backend for a gradient inside a loss.

`keras.ops` has no gradient, and the adaptive weight of an adversarial loss
(Esser et al. 2021, Equation 7) is a ratio of gradient norms. It has to be
computed inside `compute_loss`, which the trainers run under a gradient
tape, inside a JAX transformation or with autograd on.
"""

from collections.abc import Callable
from typing import Any

from keras import ops

from keras_bidalle.backend.current import backend_name


def value_and_gradient(function: Callable[..., Any], x: Any) -> tuple[Any, Any]:
    """Returns `function(x)` and its gradient with respect to `x`.

    Both results are constants to any gradient taken around this call, and
    `x` is read as a constant too. Works in eager mode, in a compiled train
    step and with gradients switched off, as in `evaluate`.

    Args:
        function: callable from a float tensor to a scalar tensor. It must
            not write variables: on JAX the values would leak from a trace.
        x: float tensor of any shape.

    Returns:
        Tuple (value, gradient): a scalar, and a tensor of the shape and
        dtype of `x`, zero where the value does not depend on it.

    Example:

    ```python
    value, slope = value_and_gradient(lambda x: ops.sum(x**2), ops.ones(3))
    # 3.0, [2.0, 2.0, 2.0]
    ```
    """
    try:
        differentiate = _BACKENDS[backend_name()]
    except KeyError:
        raise NotImplementedError(
            "Gradients need the TensorFlow, JAX or torch backend. Received: "
            f"backend={backend_name()}"
        ) from None
    value, gradient = differentiate(
        function, ops.stop_gradient(ops.convert_to_tensor(x))
    )
    return ops.stop_gradient(value), ops.stop_gradient(gradient)


def linearize(function: Callable[..., Any], x: Any) -> tuple[Any, Any]:
    """Evaluates `function` at `x` so that its gradient is known and reused.

    The returned scalar has the value of `function(x)` and the same first
    gradient with respect to `x`, but `function` ran only once: training
    through the scalar costs a product instead of a second pass through a
    discriminator or a perceptual network.

    Args:
        function: callable from a float tensor to a scalar tensor, as in
            `value_and_gradient`. Variables that it reads get no gradient.
        x: float tensor of any shape, part of the surrounding graph.

    Returns:
        Tuple (value, gradient): the differentiable scalar, and the gradient
        at `x` as a constant.
    """
    value, gradient = value_and_gradient(function, x)
    return value + ops.sum(gradient * (x - ops.stop_gradient(x))), gradient


def _tensorflow(function, x):
    import tensorflow as tf

    with tf.GradientTape() as tape:
        tape.watch(x)
        value = function(x)
    zero = tf.UnconnectedGradients.ZERO
    return value, tape.gradient(value, x, unconnected_gradients=zero)


def _jax(function, x):
    import jax

    return jax.value_and_grad(function)(x)


def _torch(function, x):
    import torch

    with torch.enable_grad():
        x = x.detach().requires_grad_(True)
        value = function(x)
        if not value.requires_grad:
            return value, torch.zeros_like(x)
        (gradient,) = torch.autograd.grad(value, x, allow_unused=True)
    if gradient is None:
        gradient = torch.zeros_like(x)
    return value, gradient


_BACKENDS = {"tensorflow": _tensorflow, "jax": _jax, "torch": _torch}
