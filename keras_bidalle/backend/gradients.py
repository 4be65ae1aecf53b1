"""The one place that asks a backend for a gradient inside a loss.

The adaptive weight of an adversarial loss (Esser et al. 2021, Equation 7) is
a ratio of gradient norms, computed inside `compute_loss`: under a gradient
tape, inside a JAX transformation or with autograd on.
"""

from collections.abc import Callable
from typing import Any

from keras import ops

from keras_bidalle.backend.current import backend_name


def value_and_gradient(function: Callable[..., Any], x: Any) -> tuple[Any, Any]:
    """A scalar `function(x)` and its gradient with respect to the float `x`.

    Both are constants to any gradient taken around this call, which also
    works with gradients switched off. The function must not write variables:
    on JAX the values would leak from a trace.
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

    The first result has the value of `function(x)` and its gradient with
    respect to `x`, but the function ran only once: training through it costs
    a product instead of a second pass through a discriminator or a perceptual
    network. The second is that gradient, a constant.
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
