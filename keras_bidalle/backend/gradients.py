"""The one place that asks a backend for a gradient inside a loss.

The adaptive weight of an adversarial loss (Esser et al. 2021, Equation 7) is
a ratio of gradient norms, computed inside `compute_loss`: under a gradient
tape, inside a JAX transformation or with autograd on.
"""

import math
from collections.abc import Callable
from typing import Any

from keras import ops

from keras_bidalle.backend.current import backend_name

# Float16 holds 2^-24 to 2^16. The slopes of a mean over N values are about
# 1/N: times N / 16 they are amid that range, with room above for those of
# maps that are smaller than what they were made of.
_VALUES_A_STEP = 16
_LARGEST_SCALE = 2**15


def value_and_gradient(
    function: Callable[..., Any], x: Any, scale: Any = None
) -> tuple[Any, Any]:
    """A scalar `function(x)` and its gradient with respect to the float `x`.

    Both are constants to any gradient taken around this call, which also
    works with gradients switched off. The function must not write variables:
    on JAX the values would leak from a trace.

    What is differentiated is the function times `scale`, and the gradient is
    divided by it: slopes that pass layers of float16 would be lost there
    else, where no optimizer's loss scale reaches. A gradient that overflows
    nevertheless is handed on as it is, not finite. It makes the loss no
    number, which logs show, and the optimizer skips the step.

    Args:
        function: callable from a tensor like `x` to a float scalar.
        x: float tensor.
        scale: float or scalar tensor, above 0; by default that of a mean over
            about as many values as `x` has, a power of two in [1, 2^15].

    Returns:
        Tuple of the scalar and of a tensor like `x`.
    """
    try:
        differentiate = _BACKENDS[backend_name()]
    except KeyError:
        raise NotImplementedError(
            "Gradients need the TensorFlow, JAX or torch backend. Received: "
            f"backend={backend_name()}"
        ) from None
    x = ops.stop_gradient(ops.convert_to_tensor(x))
    scale = _scale_of_mean(x) if scale is None else scale
    value, gradient = differentiate(function, x, scale)
    gradient = gradient / ops.cast(scale, gradient.dtype)
    return ops.stop_gradient(value), ops.stop_gradient(gradient)


def _scale_of_mean(x):
    """The largest power of two in [1, 2^15] below a share of the values."""
    # A tensor where TensorFlow does not know the batch yet.
    size = math.prod(ops.shape(x))
    scale, step = 1.0, 1
    while step < _LARGEST_SCALE:
        reached = size >= 2 * step * _VALUES_A_STEP
        scale += step * ops.cast(reached, "float32")
        step *= 2
    return scale


def linearize(function: Callable[..., Any], x: Any) -> tuple[Any, Any]:
    """Evaluates `function` at `x` so that its gradient is known and reused.

    The first result has the value of `function(x)` and its gradient with
    respect to `x`, but the function ran only once: training through it costs
    a product instead of a second pass through a discriminator or a perceptual
    network. The second is that gradient, a constant.
    """
    x = ops.convert_to_tensor(x)
    value, gradient = value_and_gradient(function, x)
    return value + ops.sum(gradient * (x - ops.stop_gradient(x))), gradient


def _tensorflow(function, x, scale):
    import tensorflow as tf

    with tf.GradientTape() as tape:
        tape.watch(x)
        value = function(x)
        scaled = _scaled(value, scale)
    zero = tf.UnconnectedGradients.ZERO
    return value, tape.gradient(scaled, x, unconnected_gradients=zero)


def _jax(function, x, scale):
    import jax

    def scaled(x):
        value = function(x)
        return _scaled(value, scale), value

    (_, value), gradient = jax.value_and_grad(scaled, has_aux=True)(x)
    return value, gradient


def _torch(function, x, scale):
    import torch

    with torch.enable_grad():
        x = x.detach().requires_grad_(True)
        value = function(x)
        if not value.requires_grad:
            return value, torch.zeros_like(x)
        (gradient,) = torch.autograd.grad(
            _scaled(value, scale), x, allow_unused=True
        )
    if gradient is None:
        gradient = torch.zeros_like(x)
    return value, gradient


def _scaled(value, scale):
    # Half precision may not hold the product.
    return ops.cast(value, "float32") * scale


_BACKENDS = {"tensorflow": _tensorflow, "jax": _jax, "torch": _torch}
