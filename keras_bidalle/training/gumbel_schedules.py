"""How a tokenizer with a Gumbel quantizer cools down, as DALL-E's did."""

import numbers
from typing import Any

import keras
import numpy as np

from keras_bidalle.arguments import kept_arguments
from keras_bidalle.named import Named
from keras_bidalle.quantizers import GumbelQuantizer
from keras_bidalle.training.schedules import VariableSchedule
from keras_bidalle.validation import check_positive, refused


@keras.saving.register_keras_serializable(package="keras_bidalle")
class CosineRamp(Named):
    """From one value to another along half a cosine wave, then constant.

    `end + (start - end) * (1 + cos(pi * min(step / steps, 1))) / 2`, slow at
    both ends, up or down. (`keras.optimizers.schedules.CosineDecay` cannot
    start from 0.)

    Args:
        start: float, the value at step 0.
        end: float, the value from step `steps`, an int, on.
        steps: int.

    Raises:
        ValueError: if `steps` is not a positive integer.
    """

    def __init__(self, start: float, end: float, steps: int) -> None:
        check_positive(steps=steps)
        self.start = start
        self.end = end
        self.steps = steps

    def __call__(self, step):
        share = min(step / self.steps, 1.0)
        rest = (1.0 + np.cos(np.pi * share)) / 2.0
        return float(self.end + (self.start - self.end) * rest)

    def get_config(self) -> dict[str, Any]:
        return kept_arguments(self)


def gumbel_schedules(
    tokenizer: Any,
    temperature: tuple[float, float] = (1.0, 1 / 16),
    temperature_steps: int = 150_000,
    beta: tuple[float, float] = (0.0, 6.6),
    beta_steps: int = 5_000,
    every_steps: int = 1,
) -> list:
    """Callbacks for the temperature and the divergence's weight.

    The defaults are those published for DALL-E's discrete VAE, which were
    made for 3 million updates; a short run wants fewer steps.

    The evidence lower bound is `ln p(x|z) - beta KL`, sums over an image.
    Where reconstruction losses are means over an image's values and the
    divergence a mean over its codes, as here, its weight is
    `beta / (f**2 * C)` with f pixels on a side to a code and C channels:
    6.6 / 192 as published. That is what `quantizer.kl_weight` is set to.

    Args:
        tokenizer: `keras_bidalle.image_tokenizers.ImageTokenizer` with a
            `GumbelQuantizer`.
        temperature: tuple of float, from what to what, both above 0.
        temperature_steps: int, training steps from one to the other.
        beta, beta_steps: likewise, both at least 0.
        every_steps: int, steps between two settings. On JAX each costs
            about as much as reading the weights.

    Returns:
        List of two `VariableSchedule`, for `fit(callbacks=...)`.

    Raises:
        ValueError: if the quantizer is another one, or an argument is out
            of its range.

    Example:

    ```python
    tokenizer.fit(images, epochs=5, callbacks=gumbel_schedules(tokenizer))
    ```

    Reference:
        [Zero-Shot Text-to-Image Generation](
        https://arxiv.org/abs/2102.12092), appendix A.2.
    """
    quantizer = tokenizer.quantizer
    if not isinstance(quantizer, GumbelQuantizer):
        raise ValueError(
            "`tokenizer` must have a `GumbelQuantizer`. "
            f"Received: {type(quantizer).__name__}"
        )
    if not (_are_two_numbers(temperature) and min(temperature) > 0):
        raise refused("be two numbers above 0", temperature=temperature)
    if not (_are_two_numbers(beta) and min(beta) >= 0):
        raise refused("be two numbers of at least 0", beta=beta)
    start, end = (value / _values_of_a_code(tokenizer) for value in beta)
    return [
        VariableSchedule(
            quantizer.temperature,
            CosineRamp(*temperature, temperature_steps),
            every_steps,
        ),
        VariableSchedule(
            quantizer.kl_weight, CosineRamp(start, end, beta_steps), every_steps
        ),
    ]


def cooling(
    tokenizer: Any,
    temperature_steps: int | None,
    beta_steps: int | None,
    kl_weight: Any = None,
) -> list:
    """`gumbel_schedules` of the tokenizers that need them, else no callback.

    Args:
        tokenizer: `keras_bidalle.image_tokenizers.ImageTokenizer`.
        temperature_steps, beta_steps: int, or `None` for no callback.
        kl_weight: float, variable or `None`, what `quantizer.kl_weight` ends
            at; the published weight by default.
    """
    has_gumbel = isinstance(tokenizer.quantizer, GumbelQuantizer)
    if not has_gumbel or temperature_steps is None or beta_steps is None:
        return []
    arguments: dict[str, Any] = {}
    if kl_weight is not None:
        weight = float(keras.ops.convert_to_numpy(kl_weight))
        arguments["beta"] = (0.0, weight * _values_of_a_code(tokenizer))
    return gumbel_schedules(
        tokenizer,
        temperature_steps=temperature_steps,
        beta_steps=beta_steps,
        **arguments,
    )


def _values_of_a_code(tokenizer):
    return tokenizer.factor**2 * tokenizer.image_shape[-1]


def _are_two_numbers(values):
    return (
        isinstance(values, tuple | list)
        and len(values) == 2
        and all(isinstance(value, numbers.Real) for value in values)
    )
